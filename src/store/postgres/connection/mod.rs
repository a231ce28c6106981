//! Connection to a database: its address, TLS, and a session with time limits.

mod session;
mod tls;
mod url;

pub use url::PostgresUrl;
pub use url::UrlError;

pub(super) use session::Failure;
pub(super) use session::Parameter;
pub(super) use session::Purpose;
pub(super) use session::Session;

pub(in crate::store) use url::without_password;
