//! `/flagd/flags.json`: flags that clients pull from us, with a strong ETag.
//!
//! A client that got the file, or said with `If-None-Match` that it has it, is noted once per
//! rollback: that note is what confirms. Sets with a token are shown only to who sends it. A
//! store that cannot be read is an error: clients keep what they have.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::auth::{bearer, is_same};
use super::{HttpState, Problem};
use crate::deliver::actions::flagd::{FlagdConfig, flag_file, sets};
use crate::store::Pulled;

/// Longest name of a client that is kept.
const MAX_CLIENT: usize = 80;

pub(super) async fn flags(
    State(state): State<HttpState>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let given = bearer(&headers);
    let all: Vec<_> = sets(&state.settings.actions).collect();
    if all.is_empty() {
        return Err(Problem::not_found("no action of kind flagd is configured"));
    }
    let visible: Vec<_> = all.into_iter().filter(|(_, set)| may_see(set, given)).collect();
    if visible.is_empty() {
        let detail = "send `Authorization: Bearer <token>` of a set of flags";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail));
    }
    let pulled = state.store.pulled().await?;
    let off: BTreeSet<String> = pulled.iter().map(|set| set.action.clone()).collect();
    let file = flag_file(visible.iter().copied(), &off);
    // What HEAD answers is no file that a client has.
    if method == Method::GET {
        let is_new = |set: &Pulled| {
            set.seen_at.is_none() && visible.iter().any(|(action, _)| *action == set.action)
        };
        let unseen: Vec<Pulled> = pulled.into_iter().filter(is_new).collect();
        if !unseen.is_empty() {
            let now = state.clock.wall_now();
            state.store.pull_seen(unseen, &client(&headers), now).await?;
        }
    }
    let kept = [(header::ETAG, file.etag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if has_it(&headers, &file.etag) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    Ok((kept, [(header::CONTENT_TYPE, "application/json")], file.body).into_response())
}

fn may_see(set: &FlagdConfig, given: Option<&str>) -> bool {
    let Some(token) = &set.token else {
        return true;
    };
    match (token.read(), given) {
        (Ok(token), Some(given)) => is_same(token.expose(), given),
        (Ok(_), None) => false,
        (Err(error), _) => {
            tracing::warn!(%error, "the token of a set of flags cannot be read: it is not shown");
            false
        }
    }
}

/// Whether the client's copy is this one; a weak tag of the same value names the same bytes.
fn has_it(headers: &HeaderMap, etag: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter();
    let named = named.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let mut named = named.map(str::trim);
    named.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// How a client calls itself.
fn client(headers: &HeaderMap) -> String {
    let name = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    name.map_or_else(|| "a client".to_owned(), |name| name.chars().take(MAX_CLIENT).collect())
}
