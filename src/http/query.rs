//! Fields of a query.

use actix_web::web::Query;

use super::problem::Kind;
use super::problem::Problem;
use crate::text::fields::FieldError;
use crate::text::lists::list;
use crate::text::ranges::other_samples;
use crate::text::ranges::other_share;

/// The largest margin, in percent.
const MAX_PERCENT: f64 = 1000.0;

/// The fields of a query, each at most once.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The fields of a query, which may have these names.
    pub(super) fn of(query: &str, allowed: &[&str]) -> Result<Fields, Problem> {
        let pairs: Query<Vec<(String, String)>> =
            Query::from_query(query).map_err(|_| invalid(format!("{query:?} is not a query")))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs.into_inner() {
            if !allowed.contains(&name.as_str()) {
                let known: Vec<String> = allowed.iter().map(|one| format!("`{one}`")).collect();
                return Err(invalid(format!("`{name}` is unknown; use {}", list(&known))));
            }
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(invalid(format!("{name}: sent twice; send it once")));
            }
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }

    /// Without those that are empty, which a form sends.
    pub(super) fn of_form(mut self) -> Fields {
        self.0.retain(|(_, value)| !value.trim().is_empty());
        self
    }

    /// The field with this name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let detail = format!("{name}: {text:?} is not a number; use a whole number from 0");
            return Err(invalid(detail));
        }
        // A number beyond all others is after all of them.
        Ok(Some(text.parse().unwrap_or(u64::MAX)))
    }

    /// A number of samples.
    pub(super) fn samples(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(samples) = self.whole(name)? else { return Ok(None) };
        match other_samples(samples) {
            None => Ok(Some(samples)),
            Some(allowed) => Err(self.out_of_range(name, &allowed)),
        }
    }

    fn out_of_range(&self, name: &str, allowed: &str) -> Problem {
        let text = self.text(name).unwrap_or_default();
        invalid(FieldError::out_of_range(name, text, allowed).to_string())
    }

    /// A percentage as a share, with or without the sign.
    pub(super) fn share(&self, name: &str) -> Result<Option<f64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number =
            text.trim().strip_suffix('%').unwrap_or(text.trim()).trim().parse::<f64>().ok();
        let percent = number.filter(|percent| (0.0..=MAX_PERCENT).contains(percent));
        percent.map(|percent| Some(percent / 100.0)).ok_or_else(|| {
            let detail = format!(
                "{name}: {text:?} is not a percentage; use 0% to {MAX_PERCENT}%, for example 5%"
            );
            invalid(detail)
        })
    }

    /// A probability.
    pub(super) fn probability(&self, name: &str) -> Result<Option<f64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| {
            invalid(format!("{name}: {text:?} is not a number; use one such as 0.01"))
        })?;
        match other_share(number) {
            None => Ok(Some(number)),
            Some(allowed) => Err(self.out_of_range(name, allowed)),
        }
    }
}

pub(super) fn invalid(detail: String) -> Problem {
    Problem::new(Kind::InvalidQuery, detail)
}
