//! The nearest of the allowed names, for hints.

/// The allowed name most like `name`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(
    name: &str,
    allowed: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(1);
    allowed
        .into_iter()
        .map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(away, candidate)| *away <= limit || related(&name, candidate))
        .min_by_key(|(away, _)| *away)
        .map(|(_, candidate)| candidate)
}

/// Whether one begins with the other: `activation` for `activation_14d`.
fn related(name: &str, candidate: &str) -> bool {
    name.len() >= 3 && (candidate.starts_with(name) || name.starts_with(candidate))
}

/// Edit distance where swapping two neighbours costs one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    // Names are short; a cap keeps hostile input from costing a quadratic table.
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut cost = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(before[j - 2] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// `"did you mean `x`?"`, or the list of what is allowed.
pub(super) fn suggestion<'a>(
    name: &str,
    allowed: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(near) = nearest(name, allowed.clone()) {
        return format!("did you mean `{near}`?");
    }
    let names: Vec<&str> = allowed.into_iter().collect();
    match names.as_slice() {
        [] => "there is none to choose from".to_owned(),
        [one] => format!("the only one is `{one}`"),
        _ => format!("known: {}", list(&names)),
    }
}

/// `` `a`, `b`, `c` ``, cut after twelve.
pub(super) fn list(names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    if names.len() > 12 {
        shown.push(format!("and {} more", names.len() - 12));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let names = ["signal", "behaviour", "from", "to"];
        assert_eq!(nearest("sginal", names), Some("signal"));
        assert_eq!(nearest("behavior", names), Some("behaviour"));
        assert_eq!(nearest("zzzzz", names), None);
        assert_eq!(nearest("activation", ["activation_14d", "csat"]), Some("activation_14d"));
        assert_eq!(suggestion("zz", ["a", "b"]), "known: `a`, `b`");
        assert_eq!(suggestion("zz", []), "there is none to choose from");
    }
}
