//! Shipped presets, one data file each, and the plan that a preset and the settings make together.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{Resolve, Success, TemplateConfig};
use crate::deliver::leaves::{Escape, MAX_BYTES};

/// Name and file.
const PRESETS: [(&str, &str); 5] = [
    ("google_chat", include_str!("../presets/google_chat.json")),
    ("grafana_irm", include_str!("../presets/grafana_irm.json")),
    ("linear", include_str!("../presets/linear.json")),
    ("opsgenie", include_str!("../presets/opsgenie.json")),
    ("telegram", include_str!("../presets/telegram.json")),
];

/// The shipped presets.
pub(in crate::deliver) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

/// Where the token goes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenPlace {
    pub(super) header: String,
    /// What stands before the token.
    pub(super) prefix: String,
}

/// `burst` at once, `count` in `per_ms` in the long run; none of them is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PresetRate {
    pub(super) count: u32,
    pub(super) per_ms: u32,
    pub(super) burst: u32,
}

/// A preset as its file has it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Preset {
    about: String,
    /// Keys of the settings it cannot do without.
    needs: Vec<String>,
    base_url: Option<String>,
    path: Option<String>,
    query: BTreeMap<String, String>,
    token: Option<TokenPlace>,
    escape: Escape,
    max_bytes: Option<usize>,
    /// JSON pointers and the characters that fit there.
    max_chars: BTreeMap<String, usize>,
    /// What the other side takes, with a margin, and whose word that is.
    rates: Vec<PresetRate>,
    rates_of: String,
    body: Value,
    resolve: Option<Resolve>,
    success: Success,
}

/// What is sent, where to, and what counts as taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) base_url: Option<String>,
    pub(super) method: Method,
    pub(super) path: Option<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) token: Option<TokenPlace>,
    pub(super) escape: Escape,
    pub(super) max_bytes: usize,
    pub(super) max_chars: BTreeMap<String, usize>,
    pub(super) rates: Vec<PresetRate>,
    pub(super) body: Value,
    pub(super) resolve: Option<Resolve>,
    pub(super) success: Success,
    pub(super) vars: BTreeMap<String, String>,
}

/// The plan of a receiver, or everything that is wrong with it.
pub(super) fn plan(config: &TemplateConfig) -> Result<Plan, Vec<String>> {
    let mut faults = Vec::new();
    let preset = match config.preset.as_deref().map(preset) {
        None => Preset::default(),
        Some(Ok(preset)) => preset,
        Some(Err(fault)) => return Err(vec![fault]),
    };
    for key in &preset.needs {
        if !has(config, key) {
            let name = config.preset.as_deref().unwrap_or_default();
            faults.push(format!("{key}: the preset `{name}` needs it"));
        }
    }
    if config.token.is_some() && preset.token.is_none() {
        faults.push("token: is for presets; write secret_headers".to_owned());
    }
    if config.url.is_some() && config.base_url.is_some() {
        faults.push("url and base_url: write one of them".to_owned());
    }
    let base_url = config.base_url.clone().or(preset.base_url);
    if config.url.is_none() && base_url.is_none() && !preset.needs.iter().any(|it| it == "url") {
        faults.push("url: write where messages are sent (or base_url, if it is no secret)".into());
    }
    let body = tree(config, preset.body).unwrap_or_else(|fault| {
        faults.push(fault);
        Value::Null
    });
    let success = config.success.clone().unwrap_or(preset.success);
    faults.extend(success.faults());
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Plan {
        base_url,
        method: config.method.map_or(Method::POST, Method::from),
        path: config.path.clone().or(preset.path),
        query: preset.query,
        token: preset.token,
        escape: config.escape.unwrap_or(preset.escape),
        max_bytes: config.max_bytes.or(preset.max_bytes).unwrap_or(MAX_BYTES).min(MAX_BYTES),
        max_chars: preset.max_chars,
        rates: preset.rates,
        body,
        resolve: config.resolve.clone().or(preset.resolve),
        success,
        vars: config.vars.clone(),
    })
}

fn preset(name: &str) -> Result<Preset, String> {
    let found = PRESETS.iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| {
        format!("preset: `{name}` is not shipped; there are {}", names().join(", "))
    })?;
    serde_json::from_str(text).map_err(|error| format!("preset {name}: {error}"))
}

fn has(config: &TemplateConfig, key: &str) -> bool {
    match key {
        "url" => config.url.is_some(),
        "token" => config.token.is_some(),
        key => {
            let name = key.strip_prefix("vars.").unwrap_or(key);
            config.vars.get(name).is_some_and(|value| !value.trim().is_empty())
        }
    }
}

/// The tree, from the settings, a file or the preset; exactly one of them.
fn tree(config: &TemplateConfig, preset: Value) -> Result<Value, String> {
    match (&config.body, &config.body_file, preset) {
        (Some(body), None, Value::Null) => Ok(body.clone()),
        (None, Some(path), Value::Null) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("body_file: cannot read {}: {error}", path.display()))?;
            let read = serde_json::from_str(&text);
            read.map_err(|error| format!("body_file: {} is no JSON: {error}", path.display()))
        }
        (None, None, Value::Null) => Err("body: write a tree, a body_file or a preset".to_owned()),
        (None, None, preset) => Ok(preset),
        _ => Err("body, body_file and preset: write one of them".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_file_is_a_preset_that_says_what_it_is() {
        for name in names() {
            let preset = preset(name).unwrap();
            assert!(!preset.about.is_empty() && !preset.body.is_null(), "{name}");
            assert!(!preset.needs.is_empty() && preset.success.faults().is_empty(), "{name}");
            let is_rate = |it: &PresetRate| it.count > 0 && it.per_ms > 0 && it.burst > 0;
            assert!(!preset.rates.is_empty() && preset.rates.iter().all(is_rate), "{name}");
            assert!(!preset.rates_of.is_empty(), "{name}: whose limit is it?");
        }
    }
}
