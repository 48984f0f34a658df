//! Failures of PostgreSQL by SQLSTATE.

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::sources::{FetchClass, FetchError};

/// A driver error with its class; the text is the server's, which never holds the password.
pub(super) fn classified(error: &tokio_postgres::Error) -> FetchError {
    if let Some(said) = error.as_db_error() {
        return FetchError::new(class(said.code().code()), message(said));
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    let lower = text.to_lowercase();
    let class = if lower.contains("password") || lower.contains("certificate") {
        FetchClass::Auth
    } else if lower.contains("timeout") || lower.contains("timed out") {
        FetchClass::Timeout
    } else {
        FetchClass::Transient
    };
    FetchError::new(class, text)
}

fn message(said: &DbError) -> String {
    let code = said.code().code();
    let position = match said.position() {
        Some(ErrorPosition::Original(position)) => format!(" (at character {position})"),
        _ => String::new(),
    };
    let hint = said.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    let advice = match code {
        "25006" => "; a source is read only: select, do not write",
        _ => "",
    };
    let text = format!("SQLSTATE {code}: {}{position}{hint}{advice}", said.message());
    text.chars().take(500).collect()
}

/// The class of a SQLSTATE.
fn class(code: &str) -> FetchClass {
    match code {
        "42501" => FetchClass::Auth,
        "57014" => FetchClass::Timeout,
        "25006" => FetchClass::UserError,
        _ => match code.get(..2).unwrap_or_default() {
            "28" => FetchClass::Auth,
            "08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX" => FetchClass::Transient,
            _ => FetchClass::UserError,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_their_classes() {
        for (code, expected) in [
            ("28P01", FetchClass::Auth),
            ("28000", FetchClass::Auth),
            ("42501", FetchClass::Auth),
            ("42601", FetchClass::UserError),
            ("42P01", FetchClass::UserError),
            ("22012", FetchClass::UserError),
            ("3D000", FetchClass::UserError),
            ("25006", FetchClass::UserError),
            ("57014", FetchClass::Timeout),
            ("53300", FetchClass::Transient),
            ("08006", FetchClass::Transient),
            ("57P03", FetchClass::Transient),
            ("40001", FetchClass::Transient),
        ] {
            assert_eq!(class(code), expected, "{code}");
        }
    }
}
