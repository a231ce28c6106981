//! `tracestate`: what other systems say of a trace, passed to the collector as it came.

use actix_web::http::header::HeaderMap;
use actix_web::http::header::HeaderName;
use actix_web::http::header::HeaderValue;

static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Members of the list.
const MAX_MEMBERS: usize = 32;

/// That of a request, whose headers of this name are one list; `None` if any member is invalid (W3C Trace Context Level
/// 1, section 3.3).
pub fn of(headers: &HeaderMap) -> Option<String> {
    let texts: Option<Vec<&str>> =
        headers.get_all(&TRACESTATE).map(HeaderValue::to_str).map(Result::ok).collect();
    texts.and_then(|texts| read(&texts.join(",")))
}

/// The list without blanks around its members and without empty ones.
fn read(list: &str) -> Option<String> {
    let members = list.split(',').map(|member| member.trim_matches([' ', '\t']));
    // Empty ones are allowed.
    let members: Vec<&str> = members.filter(|member| !member.is_empty()).collect();
    let pairs: Option<Vec<(&str, &str)>> = members.iter().map(|it| it.split_once('=')).collect();
    let pairs = pairs?;
    let is_unique =
        |(at, (key, _)): (usize, &(&str, &str))| pairs[..at].iter().all(|(other, _)| other != key);
    let is_valid = pairs.len() <= MAX_MEMBERS
        && pairs.iter().all(|(key, value)| is_key(key) && is_value(value))
        && pairs.iter().enumerate().all(is_unique);
    is_valid.then(|| members.join(","))
}

/// `vendor`, or `tenant@system`.
fn is_key(key: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase();
    let is_rest =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte);
    let is_part = |part: &str, most: usize, may_begin: &dyn Fn(u8) -> bool| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(|first| may_begin(*first))
            && bytes.len() <= most
            && bytes.iter().all(is_rest)
    };
    match key.split_once('@') {
        None => is_part(key, 256, &is_letter),
        Some((tenant, system)) => {
            let may_begin = |byte: u8| is_letter(byte) || byte.is_ascii_digit();
            is_part(tenant, 241, &may_begin) && is_part(system, 14, &is_letter)
        }
    }
}

/// Up to 256 printable characters without commas, equals signs, and a space at the end.
fn is_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    (1..=256).contains(&bytes.len())
        && !value.ends_with(' ')
        && bytes.iter().all(|byte| (b' '..=b'~').contains(byte) && !b",=".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_list_is_kept_as_it_came() {
        let long = "x".repeat(256);
        for list in [
            "congo=t61rcWkgMzE",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "fw529a3039@dt=FfAAAAAA,a_-*/9=b c!",
            &format!("a={long}"),
        ] {
            assert_eq!(read(list).unwrap(), list);
        }
        assert_eq!(read("a=1 ,\tb=2,, c=3").unwrap(), "a=1,b=2,c=3");
        let most: Vec<String> = (0..32).map(|number| format!("a{number}=1")).collect();
        assert!(read(&most.join(",")).is_some());
    }

    #[test]
    fn one_invalid_member_discards_the_list() {
        let long = "x".repeat(257);
        let many: Vec<String> = (0..33).map(|number| format!("a{number}=1")).collect();
        for list in [
            "a",
            "A=1",
            "9=1",
            "a@=1",
            "@a=1",
            "a@b@c=1",
            "a@bcdefghijklmnop=1",
            "a=1=2",
            "a=",
            "a=é",
            "a=1,a=2",
            &format!("a={long}"),
            &format!("{long}=1"),
            &many.join(","),
        ] {
            assert_eq!(read(list), None, "{list}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(TRACESTATE.clone(), HeaderValue::from_static("a=1"));
        headers.append(TRACESTATE.clone(), HeaderValue::from_static("b=2"));
        assert_eq!(of(&headers).unwrap(), "a=1,b=2");
        headers.append(TRACESTATE.clone(), HeaderValue::from_static("a=3"));
        assert_eq!(of(&headers), None);
    }
}
