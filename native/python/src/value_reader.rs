//! Reading of values for Python: tables in, outcomes out.
//!
//! Decides nothing. Invariant: a value's bytes are never changed, and nothing of them is kept after a call.

use std::collections::HashMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyString};
use sessionizer_engine::decode::{Decoded, decode, refuse_too_large};
use sessionizer_engine::event_rules::Piece;
use sessionizer_engine::placeholders::{Compared, Comparison, Words};
use sessionizer_engine::refusals::{Field, Refusal, Rule, Template};
use sessionizer_engine::tables::{Limits, OPTIONAL_IDS, REQUIRED_TEXTS, Tables};
use sessionizer_engine::timestamps::Times;

use crate::failures::caught;

/// What `worker.core.engine_tables` makes: plain values, by name.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct TablesOfPython {
    max_value_bytes: usize,
    max_events: usize,
    max_text_bytes: usize,
    max_object_bytes: usize,
    max_properties: usize,
    max_depth: usize,
    kept_of_too_large_bytes: usize,
    oldest_timestamp_ms: i64,
    timestamp_limit_ms: i64,
    refusals: HashMap<String, [String; 2]>,
    kinds: Vec<String>,
    required_texts: Vec<String>,
    optional_ids: Vec<String>,
    no_integer_field: String,
    aliases: HashMap<String, String>,
    blocked_user_words: Vec<String>,
    blocked_device_words: Vec<String>,
    blocked_forms: bool,
    null_words: Vec<String>,
    no_value_words: Vec<String>,
    white_space: String,
    ascii_white_space: String,
    around_words: String,
    around_forms: String,
    as_compared: Vec<ComparedAs>,
}

/// A code point, and the character of ASCII that it is compared as.
#[derive(FromPyObject)]
struct ComparedAs {
    #[pyo3(item(0))]
    code: u32,
    #[pyo3(item(1))]
    character: Option<char>,
}

impl TablesOfPython {
    fn tables(&self) -> Result<Tables, String> {
        let template = |name: &&str| {
            let found = self.refusals.get(*name).ok_or_else(|| format!("no words for the rule {name}"))?;
            Template::new(&found[0], &found[1])
        };
        let mut white_space: Vec<u32> = self.white_space.chars().map(u32::from).collect();
        white_space.sort_unstable();
        self.check_fields()?;
        Tables {
            limits: self.limits(),
            times: Times { oldest: self.oldest_timestamp_ms, limit: self.timestamp_limit_ms },
            templates: Rule::NAMES.iter().map(template).collect::<Result<_, _>>()?,
            kinds: self.kinds.clone(),
            aliases: self.aliases()?,
            no_integer_field: field(&self.no_integer_field)?,
            comparison: self.comparison(),
            blocked_users: words(&self.blocked_user_words),
            blocked_devices: words(&self.blocked_device_words),
            null_words: words(&self.null_words),
            blocked_forms: self.blocked_forms,
            white_space,
        }
        .checked()
    }

    fn limits(&self) -> Limits {
        Limits {
            max_value_bytes: self.max_value_bytes,
            max_events: self.max_events,
            max_text_bytes: self.max_text_bytes,
            max_object_bytes: self.max_object_bytes,
            max_properties: self.max_properties,
            max_depth: self.max_depth,
            kept_of_too_large_bytes: self.kept_of_too_large_bytes,
        }
    }

    /// An engine that reads other texts and ids than the tables name is refused.
    fn check_fields(&self) -> Result<(), String> {
        for (known, names) in [(REQUIRED_TEXTS, &self.required_texts), (OPTIONAL_IDS, &self.optional_ids)] {
            if known.map(Field::name)[..] != names[..] {
                return Err(format!("the engine knows other fields than {}", names.join(", ")));
            }
        }
        Ok(())
    }

    fn aliases(&self) -> Result<Vec<(Field, String)>, String> {
        let mut aliases = Vec::new();
        for known in REQUIRED_TEXTS {
            aliases.extend(self.aliases.get(known.name()).map(|alias| (known, alias.clone())));
        }
        if aliases.len() == self.aliases.len() {
            Ok(aliases)
        } else {
            Err("an alias of an unknown field".to_owned())
        }
    }

    fn comparison(&self) -> Comparison {
        let compared: Vec<Compared> = self
            .as_compared
            .iter()
            .map(|each| Compared {
                first: each.code,
                last: each.code,
                as_byte: each.character.and_then(|found| u8::try_from(found).ok()),
            })
            .collect();
        Comparison::new(
            &compared,
            self.around_words.as_bytes(),
            self.around_forms.as_bytes(),
            self.ascii_white_space.as_bytes(),
            self.no_value_words.iter().map(String::as_bytes),
        )
    }
}

fn field(name: &str) -> Result<Field, String> {
    Field::by_name(name).ok_or_else(|| format!("the engine knows no field {name}"))
}

fn words(words: &[String]) -> Words {
    Words::new(words.iter().map(String::as_bytes))
}

/// Reads values by the given tables. Holds no state but memory that is used again.
#[pyclass]
pub struct ValueReader {
    tables: Tables,
    decoded: Decoded,
    reasons: Vec<Py<PyString>>,
}

#[pymethods]
impl ValueReader {
    #[new]
    fn new(py: Python<'_>, tables: TablesOfPython) -> PyResult<Self> {
        let tables = tables.tables().map_err(PyValueError::new_err)?;
        let reasons =
            tables.templates.iter().map(|each| PyString::intern(py, &each.reason).unbind()).collect();
        Ok(ValueReader { tables, decoded: Decoded::default(), reasons })
    }

    /// How many events the values have, and how many refusals: what reading costs without Python's objects.
    fn count(&mut self, values: Vec<Option<PyBackedBytes>>) -> PyResult<(usize, usize)> {
        let mut found = (0, 0);
        for value in &values {
            caught(|| decode(&self.tables, value.as_deref(), &mut self.decoded))?;
            found.0 += self.decoded.events.len();
            found.1 += self.decoded.rejections.len();
        }
        Ok(found)
    }

    /// The events of a value, and what of it was refused.
    fn decode<'py>(&mut self, py: Python<'py>, value: Option<&[u8]>) -> PyResult<Outcomes<'py>> {
        caught(|| decode(&self.tables, value, &mut self.decoded))?;
        self.outcomes(py, value.unwrap_or_default())
    }

    /// The same of a value of which only the beginning is held.
    fn refuse_cut<'py>(
        &mut self,
        py: Python<'py>,
        beginning: &[u8],
        size_bytes: usize,
        sha256: &str,
    ) -> PyResult<Outcomes<'py>> {
        caught(|| refuse_too_large(&self.tables, size_bytes, sha256, beginning, &mut self.decoded))?;
        self.outcomes(py, beginning)
    }
}

impl ValueReader {
    fn outcomes<'py>(&self, py: Python<'py>, value: &[u8]) -> PyResult<Outcomes<'py>> {
        let own = &self.decoded.own[..];
        let text = |piece: Piece| PyString::from_bytes(py, piece.of(value, own));
        let bytes = |piece: Piece| PyBytes::new(py, piece.of(value, own));
        let mut events = Vec::with_capacity(self.decoded.events.len());
        for accepted in &self.decoded.events {
            let event = &accepted.event;
            events.push((
                text(event.id)?,
                text(event.event_type)?,
                text(event.device_id)?,
                event.timestamp,
                event.user_id.map(text).transpose()?,
                event.session_id.map(text).transpose()?,
                event.view_id.map(text).transpose()?,
                event.data.map(|span| bytes(Piece::Sent(span))),
                event.extra.map(bytes),
            ));
        }
        let mut rejections = Vec::with_capacity(self.decoded.rejections.len());
        let mut before: Option<(&Refusal, Text<'py>)> = None;
        for rejection in &self.decoded.rejections {
            let refusal = &rejection.refusal;
            let detail = match before.take() {
                Some((other, detail)) if refusal.reads_as(other) => detail,
                _ => PyString::new(py, &refusal.detail(&self.tables, value, own)),
            };
            let reason = self.reasons[refusal.rule as usize].clone_ref(py);
            let payload = PyBytes::new(py, rejection.payload.of(value));
            rejections.push((reason, detail.clone(), rejection.index, payload));
            before = Some((refusal, detail));
        }
        Ok((events, rejections))
    }
}

type Text<'py> = Bound<'py, PyString>;
type Bytes<'py> = Bound<'py, PyBytes>;
type Read<'py> = (
    Text<'py>,
    Text<'py>,
    Text<'py>,
    i64,
    Option<Text<'py>>,
    Option<Text<'py>>,
    Option<Text<'py>>,
    Option<Bytes<'py>>,
    Option<Bytes<'py>>,
);
type Refused<'py> = (Py<PyString>, Text<'py>, Option<u32>, Bytes<'py>);
type Outcomes<'py> = (Vec<Read<'py>>, Vec<Refused<'py>>);
