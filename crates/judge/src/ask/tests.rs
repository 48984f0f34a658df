//! Every method answers its example, in JSON and in words; nothing leaves that is not a number.

mod doubts;

use serde_json::{Value, json};

use super::envelope::{answer_body, answer_line, read};
use super::{METHODS, answer, catalogue, words};

/// One line in, the parsed object out.
fn ask(line: &str) -> Value {
    let mut out = Vec::new();
    answer_line(line.as_bytes(), 7, &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)))
}

fn example(name: &str, example: &str) -> Value {
    let mut line: Value = serde_json::from_str(example).unwrap();
    line["method"] = json!(name);
    line
}

#[test]
fn every_example_has_an_answer_a_sentence_and_a_schema_that_knows_its_fields() {
    for method in METHODS {
        let line = example(method.name, method.example);
        let told = ask(&line.to_string());
        assert!(told["answer"].is_object(), "{}: {told}", method.name);
        assert_eq!(told["method"], method.name);
        let request = read(line.to_string().as_bytes()).unwrap();
        let sentence = request.sentence(&answer(&request).unwrap().answer);
        assert!(sentence.ends_with('.') && sentence.len() > 20, "{}: {sentence}", method.name);
        assert!(!sentence.contains("NaN") && !sentence.contains("inf"), "{sentence}");
        let (input, output) = (method.input_schema(), method.output_schema());
        for (schema, value) in [(&input, &line), (&output, &told["answer"])] {
            let known = schema["properties"].as_object().unwrap();
            for key in value.as_object().unwrap().keys() {
                assert!(known.contains_key(key), "{}: {key} is not in its schema", method.name);
            }
            for key in schema["required"].as_array().unwrap() {
                let has = value.get(key.as_str().unwrap()).is_some();
                assert!(has, "{}: {key} is required and missing", method.name);
            }
        }
    }
}

#[test]
fn the_words_of_every_method_are_its_example() {
    let mut checked = 0;
    for method in METHODS.iter().filter(|method| !method.words.contains("...")) {
        let given: Vec<String> = method.words.split_whitespace().map(str::to_owned).collect();
        let object = words::object(method, &given).unwrap_or_else(|fault| {
            panic!("{}: {fault}", method.name);
        });
        let by_words = ask(&object.to_string());
        let by_json = ask(&example(method.name, method.example).to_string());
        assert_eq!(by_words["answer"], by_json["answer"], "{}: {object}", method.name);
        assert!(by_words["answer"].is_object());
        checked += 1;
    }
    assert!(checked >= METHODS.len() - 4, "{checked} of {}", METHODS.len());
}

#[test]
fn words_of_the_rule_language_mean_what_rules_mean() {
    let method = super::method("two_proportions").unwrap();
    let object = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words::object(method, &words)
    };
    let found = object(&["control=1620/6000", "target=+10%", "baseline=27%", "alpha=0.01"]);
    assert_eq!(
        found.unwrap(),
        json!({"method": "two_proportions", "control": "1620/6000", "target_relative": 0.1,
            "baseline": 0.27, "alpha": 0.01})
    );
    assert_eq!(object(&["target=\u{2212}3pts"]).unwrap()["target"], -0.03);
    assert!(object(&["treatmnt=1/2"]).unwrap_err().hint.contains("treatment"));
    assert!(object(&["control"]).unwrap_err().cause.contains("KEY=VALUE"));
    assert!(object(&["alpha=0.1", "alpha=0.2"]).unwrap_err().cause.contains("twice"));
}

#[test]
fn a_bad_line_says_where_what_and_what_to_write() {
    for (line, cause, hint) in [
        ("{", "EOF", "one JSON object per line"),
        (r#"{"id":3}"#, "no `method`", "--list"),
        (r#"{"id":3,"method":"two_proportion"}"#, "no method", "did you mean `two_proportions`?"),
        (r#"{"id":3,"method":"contrast","estimate":1}"#, "missing field `se`", "--list contrast"),
        (r#"{"id":3,"method":"contrast","estimate":1,"se":1,"tau":1,"x":1}"#, "unknown field", ""),
        (r#"{"id":3,"method":"contrast","estimate":1,"se":0,"tau":1}"#, "`se` is 0", "above 0"),
        (r#"{"id":3,"method":"contrast","estimate":1e999,"se":1,"tau":1}"#, "out of range", ""),
        (
            r#"{"id":3,"method":"welch","control":{"n":3,"mean":1,"sd":1,"se":2},
            "treatment":{"n":3,"x":1}}"#,
            "`control`",
            "mean and sd",
        ),
        (
            r#"{"id":3,"method":"two_proportions","control":"7/5","treatment":"1/5","tau":1}"#,
            "7 of 5",
            "x <= n",
        ),
        (
            r#"{"id":3,"method":"rare_events","control":"9/100","treatment":"1/90",
            "target_ratio":3}"#,
            "only one of `target_ratio` and `planned_share`",
            "before data",
        ),
        (
            r#"{"id":3,"method":"rare_difference","control":"1/100","treatment":"1/90",
            "baseline":0.01}"#,
            "only one of `baseline` and `target`",
            "before data",
        ),
        (
            r#"{"id":3,"method":"block_bootstrap","treatment":[1,2,3,4,5,6,7,8]}"#,
            "what to compare with",
            "`control`",
        ),
        (
            r#"{"id":3,"method":"group_sequential","fractions":[0.5,0.5,1],"z":[1.9,2.6]}"#,
            "two z statistics at one fraction",
            "each fraction once",
        ),
        (r#"{"id":[3],"method":"contrast"}"#, "", "optional `id`"),
    ] {
        let told = ask(line);
        assert_eq!(told["line"], 7, "{told}");
        assert!(told["error"]["cause"].as_str().unwrap().contains(cause), "{told}");
        assert!(told["error"]["hint"].as_str().unwrap().contains(hint), "{told}");
        assert!(told.get("answer").is_none());
        if line.contains(r#""id":3"#) && !line.contains("1e999") {
            assert_eq!(told["id"], 3, "{told}");
        }
    }
}

#[test]
fn an_id_comes_back_as_it_came() {
    for id in ["7", "-7", "18446744073709551615", "1.5", "\"a \\u00e9\"", "true"] {
        let line =
            format!(r#"{{"method":"equivalence","estimate":0,"se":1,"margin":1,"id":{id}}}"#);
        let expected: Value = serde_json::from_str(id).unwrap();
        assert_eq!(ask(&line)["id"], expected);
    }
    let line = r#"{"method":"equivalence","estimate":0,"se":1,"margin":1,"id":null}"#;
    assert!(ask(line).get("id").is_none());
}

#[test]
fn lines_arrays_and_single_objects_have_the_same_bytes() {
    let one = r#"{"id":"a, [b]\"","method":"contrast","estimate":0.1,"se":0.02,"tau":0.05}"#;
    let bad = r#"{"method":"contrast"}"#;
    let body = |text: String| {
        let mut out = Vec::new();
        let counts = answer_body(text.as_bytes(), &mut out, || true);
        (String::from_utf8(out).unwrap(), counts.asked, counts.failed)
    };
    let (line, ..) = body(one.to_owned());
    let line = line.trim_end();
    assert_eq!(body(format!("{one}\n\n{one}\n")), (format!("{line}\n{line}\n"), 2, 0));
    assert_eq!(body(format!("[{one}, {one}]")), (format!("[{line},{line}]\n"), 2, 0));
    let pretty = one.replace(",\"", ",\n  \"");
    assert_eq!(body(pretty), (format!("{line}\n"), 1, 0));
    let (mixed, asked, failed) = body(format!("{bad}\n{one}"));
    assert_eq!((asked, failed), (2, 1));
    assert!(mixed.ends_with(&format!("{line}\n")) && mixed.contains(r#""line":1"#), "{mixed}");
    assert_eq!(body("[]".to_owned()), ("[]\n".to_owned(), 0, 0));
    assert_eq!(body("[{\"a\":1".to_owned()).2, 1);
    assert_eq!(body(String::new()), (String::new(), 0, 0));
    let (mut out, mut left) = (Vec::new(), 1);
    let counts = answer_body(format!("[{one},{one}]").as_bytes(), &mut out, || {
        left -= 1;
        left >= 0
    });
    assert_eq!((counts.asked, counts.failed), (2, 1));
    assert!(String::from_utf8(out).unwrap().contains("the time for one body is over"));
}

#[test]
fn the_catalogue_is_whole() {
    let all = catalogue::all();
    assert_eq!(all["methods"].as_array().unwrap().len(), METHODS.len());
    let mut names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), METHODS.len());
    let page = catalogue::page();
    for method in METHODS {
        assert!(page.contains(&format!("\n## {}\n", method.name)), "{}", method.name);
        assert!(!method.citation.is_empty() && !method.assumes.is_empty());
        for schema in [method.input_schema(), method.output_schema()] {
            for (key, field) in schema["properties"].as_object().unwrap() {
                let is_described = key == "method" || field["description"].is_string();
                assert!(is_described, "{}: {key} is not described: {field}", method.name);
            }
        }
    }
}

/// Every number of a document in turn replaced by each of `values`.
fn mutations(document: &Value, values: &[f64], visit: &mut impl FnMut(&Value)) {
    fn numbers(value: &Value, path: String, found: &mut Vec<String>) {
        match value {
            Value::Number(_) => found.push(path),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate().take(3) {
                    numbers(item, format!("{path}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                for (key, item) in fields {
                    numbers(item, format!("{path}/{key}"), found);
                }
            }
            _ => {}
        }
    }
    let mut paths = Vec::new();
    numbers(document, String::new(), &mut paths);
    for path in paths {
        for x in values {
            let mut changed = document.clone();
            *changed.pointer_mut(&path).unwrap() = json!(x);
            visit(&changed);
        }
    }
}

#[test]
fn no_number_breaks_a_method_and_no_null_is_without_a_note() {
    let values =
        [0.0, -1.0, 1.0, 0.5, 3.0, 1e-300, 1e300, -1e300, 1.7e308, 9_007_199_254_740_992.0];
    let (mut answered, mut refused) = (0, 0);
    for method in METHODS {
        mutations(&example(method.name, method.example), &values, &mut |line| {
            let told = ask(&line.to_string());
            if told.get("error").is_some() {
                assert!(told["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
                refused += 1;
                return;
            }
            answered += 1;
            let has_null = told["answer"].to_string().contains("null");
            assert!(!has_null || told["notes"].is_array(), "{line}\n{told}");
            let request = read(line.to_string().as_bytes()).unwrap();
            let sentence = request.sentence(&answer(&request).unwrap().answer);
            assert!(!sentence.contains("NaN") && !sentence.contains("inf "), "{line}: {sentence}");
        });
    }
    println!("{answered} answered, {refused} refused");
    assert!(answered > 500 && refused > 500, "{answered} answered, {refused} refused");
}
