//! Takes out of an answer what we sent there: error pages like to quote the request.
//!
//! `Cannot POST /services/T0/B0/token` is how a common web framework says 404, and the path of a
//! chat's URL is its credential. What is kept of an answer loses the request's path and query, long
//! parts of either, and the values of headers that were marked as sensitive.

use reqwest::Request;

/// Parts of a path or query that are shorter than this are words, not credentials.
const MIN_PART: usize = 12;
const MARK: &str = "…";

/// What must not be repeated, the longest first.
#[derive(Debug, Default)]
pub(super) struct Scrubber(Vec<String>);

impl Scrubber {
    /// Everything in a request that may be secret.
    pub(super) fn of(request: &Request) -> Self {
        let url = request.url();
        let mut found = Vec::new();
        if url.path().len() > 1 {
            found.push(url.path().to_owned());
        }
        found.extend(url.query().map(str::to_owned));
        let parts = url.path().split('/').chain(url.query().unwrap_or_default().split(['&', '=']));
        let long = parts.filter(|part| part.len() >= MIN_PART).map(str::to_owned);
        found.extend(long);
        for value in request.headers().values().filter(|value| value.is_sensitive()) {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let bare = text.split_once(' ').map(|(_, bare)| bare.to_owned());
            found.extend(bare);
            found.push(text);
        }
        let decoded: Vec<_> = found.iter().filter_map(|text| decoded(text)).collect();
        found.extend(decoded);
        found.retain(|text| text.len() > 1);
        found.sort_by_key(|text| std::cmp::Reverse(text.len()));
        found.dedup();
        Self(found)
    }

    /// The text without any of it.
    pub(super) fn clean(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MARK))
    }
}

/// As a server shows it that decodes escapes.
fn decoded(text: &str) -> Option<String> {
    let plain = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    (plain != text).then(|| plain.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{AUTHORIZATION, HeaderValue};

    #[test]
    fn what_was_sent_is_not_repeated() {
        let url =
            "https://hooks.example.com/services/T0/B0/abcdefghijkl%20mn?key=0123456789abc&v=1";
        let mut request = Request::new(reqwest::Method::POST, url.parse().unwrap());
        let mut token = HeaderValue::from_static("Bearer hunter2");
        token.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, token);
        request.headers_mut().insert("x-plain", HeaderValue::from_static("seen"));
        let scrubber = Scrubber::of(&request);
        for (said, kept) in [
            ("Cannot POST /services/T0/B0/abcdefghijkl%20mn", "Cannot POST …"),
            ("Cannot POST /services/T0/B0/abcdefghijkl mn", "Cannot POST …"),
            ("no hook abcdefghijkl%20mn in T0", "no hook … in T0"),
            ("?key=0123456789abc&v=1", "?…"),
            ("bad key 0123456789abc", "bad key …"),
            ("you sent Bearer hunter2", "you sent …"),
            ("token hunter2 is unknown", "token … is unknown"),
            ("v=1 is fine, seen", "v=1 is fine, seen"),
        ] {
            assert_eq!(scrubber.clean(said), kept);
        }
    }

    #[test]
    fn a_bare_address_takes_nothing_away() {
        let request = Request::new(reqwest::Method::POST, "http://x.example/".parse().unwrap());
        assert_eq!(Scrubber::of(&request).clean("a/b c"), "a/b c");
    }
}
