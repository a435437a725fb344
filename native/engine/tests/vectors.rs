//! The vectors that the readable engine makes (`tests/vectors`): reading says the same.

use std::collections::HashMap;
use std::path::Path;

use sessionizer_engine::decode::{Decoded, decode};
use sessionizer_engine::event_rules::Piece;
use sessionizer_engine::given_tables::Given;
use sessionizer_engine::json_elements::nests_deeper;
use sessionizer_engine::tables::{Limits, Tables};
use sessionizer_engine::timestamps::Times;
use toml::{Table, Value};

fn file(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    std::fs::read_to_string(path).expect("a file of vectors").parse().expect("TOML")
}

fn rows<'f>(file: &'f Table, rule: &str) -> Vec<&'f Table> {
    let rows = file[rule].as_array().expect("an array of tables");
    assert!(!rows.is_empty());
    rows.iter().map(|row| row.as_table().expect("a table")).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(text).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = text(value);
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

fn given() -> Given {
    let file = file("tables.toml");
    let reading = rows(&file, "reading")[0];
    let number = |name: &str| reading[name].as_integer().expect("a number");
    let size = |name: &str| usize::try_from(number(name)).expect("a size");
    let refusal = |row: &&Table| (text(&row["rule"]), texts(&row["words"]).try_into().expect("two words"));
    let compared = |row: &&Table| {
        let code = |name: &str| row[name].as_integer().expect("a code point") as u32;
        (code("first"), code("last"), text(&row["character"]).chars().next())
    };
    Given {
        limits: Limits {
            max_value_bytes: size("max_value_bytes"),
            max_events: size("max_events"),
            max_text_bytes: size("max_text_bytes"),
            max_object_bytes: size("max_object_bytes"),
            max_properties: size("max_properties"),
            max_depth: size("max_depth"),
            kept_of_too_large_bytes: size("kept_of_too_large_bytes"),
        },
        times: Times { oldest: number("oldest_timestamp_ms"), limit: number("timestamp_limit_ms") },
        refusals: rows(&file, "refusal").iter().map(refusal).collect(),
        kinds: rows(&file, "kind").iter().map(|row| (text(&row["kind"]), text(&row["words"]))).collect(),
        required_texts: texts(&reading["required_texts"]),
        optional_ids: texts(&reading["optional_ids"]),
        no_integer_field: text(&reading["no_integer_field"]),
        aliases: rows(&file, "alias").iter().map(|row| (text(&row["field"]), text(&row["other"]))).collect(),
        blocked_user_words: texts(&reading["blocked_user_words"]),
        blocked_device_words: texts(&reading["blocked_device_words"]),
        blocked_forms: reading["blocked_forms"].as_bool().expect("a truth value"),
        null_words: texts(&reading["null_words"]),
        no_value_words: texts(&reading["no_value_words"]),
        white_space: text(&reading["white_space"]),
        ascii_white_space: text(&reading["ascii_white_space"]),
        around_words: text(&reading["around_words"]),
        around_forms: text(&reading["around_forms"]),
        as_compared: rows(&file, "compared").iter().map(compared).collect(),
    }
}

fn tables() -> Tables {
    given().tables().expect("tables that the engine knows")
}

/// Events and refusals as the vectors have them.
fn outcomes(tables: &Tables, value: &[u8]) -> (Vec<Value>, Vec<Value>) {
    let mut decoded = Decoded::default();
    decode(tables, Some(value), &mut decoded);
    let words = |bytes: &[u8]| Value::from(String::from_utf8(bytes.to_vec()).expect("UTF-8"));
    let piece = |piece: Piece| words(piece.of(value, &decoded.own));
    let optional = |found: Option<Piece>| found.map_or(Value::from(""), piece);
    let mut events = Vec::new();
    for accepted in &decoded.events {
        let event = &accepted.event;
        events.push(Value::from(vec![
            piece(event.id),
            piece(event.event_type),
            piece(event.device_id),
            Value::from(event.timestamp),
            optional(event.user_id),
            optional(event.session_id),
            optional(event.view_id),
            optional(event.data.map(Piece::Sent)),
            optional(event.extra),
        ]));
    }
    let mut refusals = Vec::new();
    for rejection in &decoded.rejections {
        let hex: String = rejection.payload.of(value).iter().map(|byte| format!("{byte:02x}")).collect();
        refusals.push(Value::from(vec![
            Value::from(tables.templates[rejection.refusal.rule as usize].reason.clone()),
            Value::from(rejection.refusal.detail(tables, value, &decoded.own)),
            Value::from(rejection.index.map_or(-1, i64::from)),
            Value::from(hex),
        ]));
    }
    (events, refusals)
}

#[test]
fn values_have_the_same_outcomes() {
    let (file, tables) = (file("readings.toml"), tables());
    for row in rows(&file, "value") {
        let value = bytes(&row["value"]);
        let (events, refusals) = outcomes(&tables, &value);
        let shown = String::from_utf8_lossy(&value);
        assert_eq!(&Value::from(events), &row["events"], "{shown}");
        assert_eq!(&Value::from(refusals), &row["refusals"], "{shown}");
    }
}

#[test]
fn timestamps_are_the_same_numbers() {
    let (file, tables) = (file("readings.toml"), tables());
    for row in rows(&file, "timestamp") {
        let number = text(&row["text"]);
        let value = format!("[{{\"id\":\"a\",\"type\":\"a\",\"device_id\":\"a\",\"timestamp\":{number}}}]")
            .into_bytes();
        let (events, refusals) = outcomes(&tables, &value);
        let timestamp = events.first().map_or(Value::from(0), |event| event[3].clone());
        assert_eq!(timestamp, row["timestamp"], "{number}");
        let refused = |at: usize| refusals.first().map_or(Value::from(""), |refusal| refusal[at].clone());
        assert_eq!((refused(0), refused(1)), (row["reason"].clone(), row["detail"].clone()), "{number}");
    }
}

#[test]
fn numbers_and_strings_are_json_where_they_are() {
    let (file, tables) = (file("readings.toml"), tables());
    let is_json = |element: &[u8]| {
        let (_, refusals) = outcomes(&tables, &[b"{\"a\":", element, b"}"].concat());
        refusals.first().is_none_or(|refusal| refusal[0].as_str() != Some("malformed_json"))
    };
    for row in rows(&file, "number") {
        let number = text(&row["text"]);
        assert_eq!(is_json(number.as_bytes()), row["is_json"].as_bool().unwrap(), "{number}");
    }
    for row in rows(&file, "string") {
        let element = bytes(&row["bytes"]);
        let shown = String::from_utf8_lossy(&element);
        assert_eq!(is_json(&element), row["is_json"].as_bool().unwrap(), "{shown}");
    }
}

#[test]
fn brackets_nest_as_deep() {
    for row in rows(&file("readings.toml"), "depth") {
        let brackets = text(&row["text"]);
        let depth = usize::try_from(row["depth"].as_integer().unwrap()).unwrap();
        assert!(!nests_deeper(brackets.as_bytes(), depth), "{brackets}");
        assert!(depth == 0 || nests_deeper(brackets.as_bytes(), depth - 1), "{brackets}");
    }
}

#[test]
fn words_and_forms_name_nobody() {
    let (file, tables) = (file("characters.toml"), tables());
    for row in rows(&file, "word") {
        let word = text(&row["text"]);
        let asked: HashMap<&str, bool> = HashMap::from([
            ("is_no_user", tables.is_no_user(word.as_bytes())),
            ("is_no_device", tables.is_no_device(word.as_bytes())),
            ("is_missing", tables.means_none(word.as_bytes())),
        ]);
        for name in ["is_no_user", "is_no_device", "is_missing"] {
            assert_eq!(asked[name], row[name].as_bool().unwrap(), "{name}: {word:?}");
        }
    }
}

#[test]
fn characters_are_blank_or_control_characters_where_they_are() {
    let (file, tables) = (file("characters.toml"), tables());
    for row in rows(&file, "character") {
        let code = row["code_point"].as_integer().unwrap() as u32;
        let character = char::from_u32(code).expect("a character").to_string();
        assert_eq!(tables.is_empty(character.as_bytes()), row["is_blank"].as_bool().unwrap(), "{code:x}");
        let escaped = if code < 0x1_0000 { format!("\\u{code:04x}") } else { character };
        let (_, refusals) = outcomes(&tables, format!("{{\"id\":\"a{escaped}\"}}").as_bytes());
        let is_control = refusals[0].as_array().unwrap()[0].as_str() == Some("control_character");
        assert_eq!(is_control, row["is_control"].as_bool().unwrap(), "{code:x}");
    }
}

#[test]
fn a_text_may_have_as_many_bytes_as_the_limit_says() {
    let tables = tables();
    for (bytes, refused) in [(512, false), (513, true)] {
        let id = "x".repeat(bytes);
        let value =
            format!("{{\"id\":\"{id}\",\"type\":\"a\",\"device_id\":\"a\",\"timestamp\":1700000000000}}");
        let (events, refusals) = outcomes(&tables, value.as_bytes());
        assert_eq!((events.is_empty(), refusals.is_empty()), (refused, !refused), "{bytes}");
    }
}

#[test]
fn a_table_that_lacks_something_or_has_more_is_refused() {
    let mut lacking = given();
    lacking.refusals.remove("too_deep");
    assert!(lacking.tables().is_err());
    let mut more = given();
    more.refusals.insert("too_odd".to_owned(), ["too_odd".to_owned(), "is odd".to_owned()]);
    assert!(more.tables().is_err());
    let mut kinds = given();
    kinds.kinds.insert("date".to_owned(), "a date".to_owned());
    assert!(kinds.tables().is_err());
    let mut others = given();
    others.optional_ids.pop();
    assert!(others.tables().is_err());
    let mut broken = given();
    broken.refusals.insert("too_deep".to_owned(), ["too_deep".to_owned(), "{nothing}".to_owned()]);
    assert!(broken.tables().is_err());
}

#[test]
fn a_huge_value_leaves_no_memory_behind() {
    let tables = tables();
    let mut decoded = Decoded::default();
    let huge = [b"[1", ",1".repeat(9_999).as_bytes(), b"]"].concat();
    decode(&tables, Some(&huge), &mut decoded);
    let usual = decoded.rejections.capacity();
    assert!(usual >= 10_000);
    decoded.own.reserve(8 << 20);
    decoded.elements.reserve(1 << 20);
    decode(&tables, Some(b"[]"), &mut decoded);
    assert!(decoded.own.capacity() <= 1 << 16 && decoded.elements.capacity() <= 1 << 16);
    assert_eq!(decoded.rejections.capacity(), usual);
}
