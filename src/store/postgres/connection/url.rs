//! Address of a PostgreSQL store: `postgres://USER@HOST/DATABASE?schema=NAME`. Its password is never printed.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// The schema of the tables by default.
const SCHEMA: &str = "serin";

/// What an address begins with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Where a database is, who connects, and which schema has the tables.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// As it was given, without the password.
    shown: String,
    pub(in crate::store::postgres) config: Config,
    pub(in crate::store::postgres) schema: String,
    /// `None`: no certificate is checked.
    pub(super) verified_by: Option<Roots>,
    /// Whether a connection may be encrypted: a socket in the file system is not.
    pub(super) has_tls: bool,
}

/// Who may have signed the certificate of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// The authorities that browsers trust.
    Public,
    /// Those in a PEM file.
    File(PathBuf),
}

impl PostgresUrl {
    /// Whether a text is meant as such an address.
    pub fn is_meant_by(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }
}

/// What is wrong with an address: the part, and what is allowed.
pub type UrlError = String;

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<PostgresUrl, UrlError> {
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = address.split_once('/').unwrap_or((address, ""));
        let (login, hosts) = authority.split_once('@').unwrap_or(("", authority));
        if hosts.contains('@') {
            return Err("password: it has an @; write it as %40".to_owned());
        }
        let mut config = Config::new();
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        config.user(present("user", decoded("user", user)?)?);
        if let Some(password) = password {
            config.password(decoded("password", password)?);
        }
        config.dbname(present("database", decoded("database", database)?)?);
        let mut given = Given::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            given.set(name, decoded(name, value)?)?;
        }
        let has_tls = add_hosts(&mut config, hosts, given.host.as_deref())?;
        let (mode, is_verified) = ssl_mode(given.sslmode.as_deref())?;
        config.ssl_mode(mode);
        if given.sslrootcert.is_some() && !is_verified {
            return Err(
                "sslrootcert: nothing is verified by it; add sslmode=verify-full".to_owned()
            );
        }
        let roots = given.sslrootcert.map_or(Roots::Public, |file| Roots::File(file.into()));
        Ok(PostgresUrl {
            shown: without_password(text),
            config,
            schema: schema(given.schema)?,
            verified_by: is_verified.then_some(roots),
            has_tls: has_tls && mode != SslMode::Disable,
        })
    }
}

/// The options after the question mark.
#[derive(Default)]
struct Given {
    host: Option<String>,
    schema: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
}

impl Given {
    fn set(&mut self, name: &str, value: String) -> Result<(), UrlError> {
        let option = match name {
            "host" => &mut self.host,
            "schema" => &mut self.schema,
            "sslmode" => &mut self.sslmode,
            "sslrootcert" => &mut self.sslrootcert,
            _ => {
                let allowed = "use host, schema, sslmode or sslrootcert";
                return Err(format!("{name:?} is not an option; {allowed}"));
            }
        };
        if option.replace(value).is_some() {
            return Err(format!("{name}: given twice; give it once"));
        }
        Ok(())
    }
}

/// Adds the hosts, and answers whether they are reached through the network.
fn add_hosts(config: &mut Config, hosts: &str, socket: Option<&str>) -> Result<bool, UrlError> {
    if let Some(folder) = socket {
        if !Path::new(folder).is_absolute() {
            let allowed =
                "use the absolute path of the socket's folder, such as /var/run/postgresql";
            return Err(format!("host: {folder:?} is not allowed as an option; {allowed}"));
        }
        let port = match hosts.strip_prefix(':') {
            Some(port) => port_of(port)?,
            None if hosts.is_empty() => DEFAULT_PORT,
            None => return Err("host: given twice; give it once".to_owned()),
        };
        config.host_path(folder).port(port);
        return Ok(false);
    }
    for host in hosts.split(',') {
        // The colons of an IPv6 address are in brackets.
        let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((address, rest)) => (address, rest.strip_prefix(':')),
            None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
        };
        config.host(present("host", decoded("host", name)?)?);
        config.port(port.map_or(Ok(DEFAULT_PORT), port_of)?);
    }
    Ok(true)
}

/// The port of PostgreSQL.
const DEFAULT_PORT: u16 = 5432;

fn port_of(text: &str) -> Result<u16, UrlError> {
    // Not shown: behind a user without an @ it is the password.
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "port: not a number from 1 to 65535".to_owned())
}

fn ssl_mode(text: Option<&str>) -> Result<(SslMode, bool), UrlError> {
    match text {
        None | Some("prefer") => Ok((SslMode::Prefer, false)),
        Some("disable") => Ok((SslMode::Disable, false)),
        Some("require") => Ok((SslMode::Require, false)),
        Some("verify-full") => Ok((SslMode::Require, true)),
        Some(other) => Err(format!(
            "sslmode: {other:?} is not allowed; use disable, prefer, require or verify-full"
        )),
    }
}

fn schema(text: Option<String>) -> Result<String, UrlError> {
    let schema = text.unwrap_or_else(|| SCHEMA.to_owned());
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let is_name = schema.len() <= 63
        && schema.bytes().next().is_some_and(is_first)
        && schema.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit())
        && !schema.starts_with("pg_")
        && schema != "information_schema";
    if !is_name {
        let allowed = "use at most 63 of a-z, 0-9 and _, not beginning with a digit or pg_";
        return Err(format!("schema: {schema:?} is not allowed; {allowed}"));
    }
    Ok(schema)
}

fn present(part: &str, text: String) -> Result<String, UrlError> {
    if text.is_empty() || text.contains('\0') {
        return Err(format!("{part}: missing; use postgres://USER@HOST/DATABASE"));
    }
    Ok(text)
}

/// The text with each %XX replaced by its byte.
fn decoded(part: &str, text: &str) -> Result<String, UrlError> {
    let wrong = || format!("{part}: % begins two hexadecimal digits; write % itself as %25");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte.unwrap_or_default()).to_digit(16);
        bytes.push(match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).map_err(|_| wrong())?,
                (_, _) => return Err(wrong()),
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| format!("{part}: not UTF-8"))
}

/// An address without the password, even if it is not valid otherwise. Everything from the first colon of the login to
/// the last @ counts as password.
pub(in crate::store) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (user, hosts) = match (rest.find(':'), rest.rfind('@')) {
        (Some(colon), Some(at)) if colon < at => (&rest[..colon], &rest[at..]),
        _ => (rest, ""),
    };
    format!("{scheme}://{user}{hosts}")
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PostgresUrl {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_parts() {
        let url = parsed("postgresql://me:p%40ss@db1,db2:5433/models?schema=fraud&sslmode=require");
        assert_eq!(url.config.get_user(), Some("me"));
        assert_eq!(url.config.get_password(), Some(b"p@ss".as_slice()));
        assert_eq!(url.config.get_dbname(), Some("models"));
        assert_eq!(url.config.get_ports(), [5432, 5433]);
        assert_eq!((url.schema.as_str(), url.has_tls), ("fraud", true));
        assert_eq!(url.config.get_ssl_mode(), SslMode::Require);
        let socket = parsed("postgres://me@:5433/d?host=/var/run/postgresql");
        assert_eq!((socket.config.get_ports(), socket.has_tls), ([5433].as_slice(), false));
        assert_eq!(socket.schema, "serin");
        let six = parsed("postgres://me@[::1]:5433/d?sslmode=verify-full&sslrootcert=/ca.pem");
        assert_eq!(six.config.get_ports(), [5433]);
        assert_eq!(six.verified_by, Some(Roots::File("/ca.pem".into())));
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = parsed("postgres://me:secret@db/d?schema=s");
        for shown in [url.to_string(), format!("{url:?}"), format!("{:?}", url.config)] {
            assert!(!shown.contains("secret"), "{shown}");
        }
        assert_eq!(url.to_string(), "postgres://me@db/d?schema=s");
        for (text, shown) in [
            ("postgre://me:se:c@ret@db/d", "postgre://me@db/d"),
            ("postgres://me:s/ec?ret@db", "postgres://me@db"),
            ("redis://here", "redis://here"),
            ("sqlite:a", "sqlite:a"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }

    #[test]
    fn a_bad_address_is_refused_with_the_part_and_what_is_allowed() {
        for (text, named) in [
            ("postgres://", "user: missing"),
            ("postgres://db/d", "user: missing"),
            ("postgres://me@db", "database: missing"),
            ("postgres://me@/d", "host: missing"),
            ("postgres://me@db,/d", "host: missing"),
            ("postgres://me:a@b@db/d", "%40"),
            ("postgres://me:%4@db/d", "password: %"),
            ("postgres://me:%zz@db/d", "password: %"),
            ("postgres://me@db:0/d", "port: not a number from 1 to 65535"),
            ("postgres://me@db:x/d", "port: "),
            ("postgres://me@db/d?schema=A", "schema: \"A\""),
            ("postgres://me@db/d?schema=", "schema: \"\""),
            ("postgres://me@db/d?schema=pg_x", "pg_"),
            ("postgres://me@db/d?schema=a;b", "a-z"),
            ("postgres://me@db/d?sslmode=verify", "verify-full"),
            ("postgres://me@db/d?sslrootcert=/ca", "sslmode=verify-full"),
            ("postgres://me@db/d?port=1", "\"port\" is not an option"),
            ("postgres://me@db/d?schema=a&schema=b", "schema: given twice"),
            ("postgres://me@db/d?host=relative", "host: \"relative\""),
            ("postgres://me@db/d?host=/tmp", "host: given twice"),
        ] {
            let error = text.parse::<PostgresUrl>().unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
