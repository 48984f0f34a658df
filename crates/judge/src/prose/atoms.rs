//! One atom as a line: wanted, seen, interval, n, met, and what would flip it.

use super::met_words;
use super::numbers::{Written, count, interval_text};
use crate::analyse::{AtomView, Evidence, Truth, UnknownWhy};
use crate::record::EvaluationRecord;
use crate::spec::{AtomKind, EvidenceMode, Form, Side};

/// How the numbers of one atom are written.
fn written<'a>(atom: &AtomView, record: &'a EvaluationRecord) -> Written<'a> {
    let signal = record.input.experiment.signal(&atom.signal);
    let evidence = atom.evidence.as_ref();
    let form = signal.map_or(Form::Value, |signal| signal.form);
    let unit = signal.and_then(|signal| signal.unit.as_deref());
    let relative = evidence.map_or(atom.text.ends_with('%'), |evidence| evidence.relative);
    match atom.kind {
        AtomKind::Level => Written::Level { form, unit },
        AtomKind::Movement | AtomKind::Tolerance => Written::Change { relative, form, unit },
    }
}

/// Seen and wanted, told apart; without evidence only what is wanted.
fn seen_and_wanted(atom: &AtomView, scale: &Written<'_>) -> (Option<String>, String) {
    match &atom.evidence {
        Some(evidence) => {
            let (seen, wanted) = scale.pair(seen(atom, evidence), atom.wanted);
            (Some(seen), wanted)
        }
        None => (None, scale.text(atom.wanted)),
    }
}

/// What was seen: the level for level atoms, else the change.
fn seen(atom: &AtomView, evidence: &Evidence) -> f64 {
    match atom.kind {
        AtomKind::Level => evidence.level.unwrap_or(evidence.estimate),
        AtomKind::Movement | AtomKind::Tolerance => evidence.estimate,
    }
}

/// What was seen as it is written: a level or a change.
pub(super) fn seen_text(atom: &AtomView, record: &EvaluationRecord) -> Option<String> {
    seen_and_wanted(atom, &written(atom, record)).0
}

/// `activation_14d >= +3pts: wanted +3.0 pts, seen +0.4 pts (-1.2 pts to +2.0 pts), n = 12,000,
/// not met; ...`.
pub fn atom_line(atom: &AtomView, record: &EvaluationRecord) -> String {
    let scale = written(atom, record);
    let (seen, wanted) = seen_and_wanted(atom, &scale);
    let mut parts = vec![format!("{}: wanted {wanted}", atom.text)];
    if let (Some(evidence), Some(seen)) = (&atom.evidence, seen) {
        let interval = interval_text(&evidence.interval, &|end| scale.text(end));
        let n: f64 = evidence.n.values().sum();
        parts.push(format!("seen {seen} ({interval})"));
        parts.push(format!("n = {}", count(n)));
    }
    let no_test = if atom.no_test { " (no test)" } else { "" };
    parts.push(format!("{}{no_test}", met_words(atom.met)));
    if atom.drifted {
        parts.push("drifted: the interval no longer excludes no change".to_owned());
    }
    format!("{}; {}", parts.join(", "), what_would_flip(atom, record))
}

/// One atom in cells, for tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtomCells {
    /// As in the file.
    pub clause: String,
    /// What is wanted.
    pub wanted: String,
    /// What was seen; `not seen` without evidence.
    pub seen: String,
    /// Its interval; `-` without evidence.
    pub interval: String,
    /// Units; `-` without evidence.
    pub n: String,
    /// Whether it is met.
    pub met: &'static str,
}

/// The parts of [`atom_line`].
pub fn atom_cells(atom: &AtomView, record: &EvaluationRecord) -> AtomCells {
    let scale = written(atom, record);
    let (seen, wanted) = seen_and_wanted(atom, &scale);
    let evidence = atom.evidence.as_ref();
    let interval = evidence.map(|one| interval_text(&one.interval, &|end| scale.text(end)));
    let n = evidence.map(|one| count(one.n.values().sum()));
    AtomCells {
        clause: atom.text.clone(),
        wanted,
        seen: seen.unwrap_or_else(|| "not seen".to_owned()),
        interval: interval.unwrap_or_else(|| "-".to_owned()),
        n: n.unwrap_or_else(|| "-".to_owned()),
        met: met_words(atom.met),
    }
}

/// `activation_14d +0.4 pts, needed +3.0 pts`; for level atoms `needed at least 80.0 %`.
pub(super) fn short_atom(atom: &AtomView, record: &EvaluationRecord) -> String {
    let (seen, wanted) = seen_and_wanted(atom, &written(atom, record));
    let wanted = match (atom.kind, side_of(atom, record)) {
        (AtomKind::Level, Some(Side::AtLeast)) => format!("at least {wanted}"),
        (AtomKind::Level, Some(Side::AtMost)) => format!("at most {wanted}"),
        (AtomKind::Tolerance, _) => format!("no worse than {wanted}"),
        _ => wanted,
    };
    let seen = seen.unwrap_or_else(|| "not seen".to_owned());
    format!("{} {seen}, needed {wanted}", atom.signal)
}

/// `short_atom` with whether it is met: the line of timelines.
pub fn atom_numbers(atom: &AtomView, record: &EvaluationRecord) -> String {
    format!("{}: {}", short_atom(atom, record), met_words(atom.met))
}

fn side_of(atom: &AtomView, record: &EvaluationRecord) -> Option<Side> {
    let checkpoint = &record.input.experiment.checkpoint;
    let stop = checkpoint.stop_when.iter().flat_map(|rule| rule.atoms());
    let mut rules = checkpoint.continue_when.atoms().into_iter().chain(stop);
    rules.find(|one| one.text == atom.text).map(|one| one.side)
}

/// Whether there are units enough to show the aim and only the estimate is short of the threshold.
fn is_short(atom: &AtomView, record: &EvaluationRecord) -> bool {
    let Some(evidence) = &atom.evidence else { return false };
    let short = match side_of(atom, record) {
        Some(Side::AtMost) => evidence.estimate > atom.wanted,
        _ => evidence.estimate < atom.wanted,
    };
    let moves = atom.kind == AtomKind::Movement && atom.needs_more.is_some();
    moves && record.input.experiment.evidence == EvidenceMode::Significant && short
}

/// What it would take for the atom to read otherwise.
pub fn what_would_flip(atom: &AtomView, record: &EvaluationRecord) -> String {
    let wanted = written(atom, record).text(atom.wanted);
    match (atom.met, atom.why, atom.units_missing()) {
        (Truth::True, ..) => match atom.kind {
            AtomKind::Tolerance => "flips when the interval leaves the tolerance".to_owned(),
            AtomKind::Level | AtomKind::Movement => {
                format!("flips when the estimate no longer reaches {wanted}")
            }
        },
        (Truth::False, ..) => format!("flips when the interval reaches {wanted} again"),
        (Truth::Unknown, Some(UnknownWhy::NoData | UnknownWhy::SourceError), _) => {
            "flips when data come".to_owned()
        }
        (Truth::Unknown, Some(UnknownWhy::Immature), _) => {
            "flips when the first units have matured".to_owned()
        }
        (Truth::Unknown, Some(UnknownWhy::NotNow), _) => "judged only at the checkpoint".to_owned(),
        (Truth::Unknown, Some(UnknownWhy::Invalid), _) => {
            "flips when the data are fit to be judged".to_owned()
        }
        (Truth::Unknown, _, Some(units)) => format!("needs about {} more", count(units)),
        (Truth::Unknown, _, None) if is_short(atom, record) => {
            format!("flips when the estimate reaches {wanted} or the interval no longer does")
        }
        (Truth::Unknown, _, None) => {
            format!("flips when the interval settles on one side of {wanted}")
        }
    }
}
