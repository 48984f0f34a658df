//! The JSON envelope of the API, typed and bounded.
//!
//! Sample values are text (`"NaN"`, `"+Inf"` are values, not numbers). A scalar answer is one
//! series without labels. Native histograms are noticed, so that the join can refuse them.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most series of one answer; a query that needs more is not one series per arm.
const MAX_SERIES: usize = 1_000;

/// The whole answer.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Envelope {
    pub(super) status: String,
    #[serde(default)]
    pub(super) data: Option<Data>,
    #[serde(default, rename = "errorType")]
    pub(super) error_type: Option<String>,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) warnings: Option<Vec<String>>,
}

impl Envelope {
    /// What makes the answer partial. Remarks about the query (`PromQL info: ...`), which some
    /// versions send in the same list, do not.
    pub(super) fn partial(&mut self) -> Vec<String> {
        let mut warnings = self.warnings.take().unwrap_or_default();
        warnings.retain(|warning| !warning.starts_with("PromQL info"));
        warnings
    }
}

/// `data` of a success.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Data {
    #[serde(rename = "resultType")]
    pub(super) result_type: String,
    pub(super) result: Results,
}

/// `matrix` and `vector` are lists of series, `scalar` and `string` one pair.
#[derive(Debug)]
pub(super) struct Results(pub(super) Vec<Series>);

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) samples: Vec<Sample>,
    pub(super) is_histogram: bool,
}

/// One sample; `value` is `None` when it is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) at_ms: i64,
    pub(super) value: Option<f64>,
}

/// `[unix seconds, "value"]`.
#[derive(Debug, serde::Deserialize)]
struct Pair(f64, String);

impl Pair {
    fn sample<E: serde::de::Error>(&self) -> Result<Sample, E> {
        let value = match self.1.as_str() {
            "NaN" | "+Inf" | "-Inf" | "Inf" => None,
            text => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                Some(number.ok_or_else(|| E::custom(format!("not a sample value: {text:?}")))?)
            }
        };
        let at_ms = (self.0 * 1_000.0).round();
        if !at_ms.is_finite() || at_ms.abs() > 1e15 {
            return Err(E::custom(format!("not a sample time: {}", self.0)));
        }
        Ok(Sample { at_ms: at_ms as i64, value })
    }
}

#[derive(Debug, serde::Deserialize)]
struct RawSeries {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    value: Option<Pair>,
    #[serde(default)]
    values: Vec<Pair>,
    #[serde(default)]
    histogram: Option<IgnoredAny>,
    #[serde(default)]
    histograms: Option<IgnoredAny>,
}

/// An element of `result`.
enum Element {
    Series(Series),
    Time(f64),
    Text(String),
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a series or a scalar")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
        let raw = RawSeries::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let pairs = raw.value.iter().chain(&raw.values);
        let samples = pairs.map(Pair::sample).collect::<Result<Vec<_>, A::Error>>()?;
        let is_histogram = raw.histogram.is_some() || raw.histograms.is_some();
        Ok(Element::Series(Series { labels: raw.metric, samples, is_histogram }))
    }

    fn visit_f64<E>(self, seconds: f64) -> Result<Element, E> {
        Ok(Element::Time(seconds))
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<Element, E> {
        Ok(Element::Time(seconds as f64))
    }

    fn visit_i64<E>(self, seconds: i64) -> Result<Element, E> {
        Ok(Element::Time(seconds as f64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Element, E> {
        Ok(Element::Text(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ResultsVisitor;

impl<'de> Visitor<'de> for ResultsVisitor {
    type Value = Results;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of series or a scalar")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Results, A::Error> {
        let mut series = Vec::new();
        let mut time = None;
        while let Some(element) = seq.next_element::<Element>()? {
            match (element, time) {
                (Element::Series(one), _) => series.push(one),
                (Element::Time(seconds), None) => time = Some(seconds),
                (Element::Text(text), Some(seconds)) => {
                    let samples = vec![Pair(seconds, text).sample()?];
                    series.push(Series { labels: BTreeMap::new(), samples, is_histogram: false });
                }
                _ => return Err(serde::de::Error::custom("neither series nor scalar")),
            }
            if series.len() > MAX_SERIES {
                let message = format!("more than {MAX_SERIES} series: aggregate in the query");
                return Err(serde::de::Error::custom(message));
            }
        }
        Ok(Results(series))
    }
}

impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ResultsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(result: &str) -> Result<Vec<Series>, serde_json::Error> {
        let text = format!(
            r#"{{"status":"success","data":{{"resultType":"x","result":{result}}},"infos":["i"]}}"#
        );
        let envelope: Envelope = serde_json::from_str(&text)?;
        Ok(envelope.data.unwrap().result.0)
    }

    #[test]
    fn matrix_vector_and_scalar_become_series() {
        let matrix = series(r#"[{"metric":{"arm":"a"},"values":[[1,"2"],[2.5,"NaN"]]}]"#).unwrap();
        let samples = [(1_000, Some(2.0)), (2_500, None)];
        let samples = samples.map(|(at_ms, value)| Sample { at_ms, value });
        assert_eq!(matrix[0].samples, samples);
        assert_eq!(matrix[0].labels["arm"], "a");
        let vector = series(r#"[{"metric":{},"value":[1,"+Inf"]}]"#).unwrap();
        assert_eq!(vector[0].samples, [Sample { at_ms: 1_000, value: None }]);
        let scalar = series(r#"[1700000000,"0.25"]"#).unwrap();
        assert_eq!(scalar[0].samples[0].value, Some(0.25));
        assert!(series("[]").unwrap().is_empty());
    }

    #[test]
    fn histograms_are_noticed() {
        let text = r#"[{"metric":{},"histogram":[1,{"count":"2","sum":"3","buckets":[]}]}]"#;
        assert!(series(text).unwrap()[0].is_histogram);
    }

    #[test]
    fn what_is_neither_is_an_error() {
        let bad = [
            r#"[{"metric":{},"value":[1,"abc"]}]"#,
            r#"[{"metric":{},"value":[1e300,"1"]}]"#,
            r#"["x"]"#,
            r#"[[1,"2"]]"#,
            r#"{"a":1}"#,
        ];
        for result in bad {
            assert!(series(result).is_err(), "{result}");
        }
        let many = format!("[{}]", vec![r#"{"metric":{}}"#; MAX_SERIES + 1].join(","));
        assert!(series(&many).unwrap_err().to_string().contains("more than 1000 series"));
    }
}
