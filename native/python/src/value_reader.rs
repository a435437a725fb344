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
use sessionizer_engine::given_tables::Given;
use sessionizer_engine::refusals::Refusal;
use sessionizer_engine::tables::{Limits, Tables};
use sessionizer_engine::timestamps::Times;

use crate::failures::{EngineFailed, caught};

macro_rules! given {
    ($(#[$meta:meta])* $type:ident { $($name:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(FromPyObject)]
        #[pyo3(from_item_all)]
        struct $type { $($name: $kind,)* }

        impl $type {
            const COUNT: usize = [$(stringify!($name),)*].len();
        }
    };
}

given! {
    /// What `worker.core.engine_tables` makes: plain values, by name.
    TablesOfPython {
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
        kinds: HashMap<String, String>,
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
}

/// The first and the last of some code points, and the character of ASCII that each is compared as.
#[derive(FromPyObject)]
struct ComparedAs {
    #[pyo3(item(0))]
    first: u32,
    #[pyo3(item(1))]
    last: u32,
    #[pyo3(item(2))]
    character: Option<char>,
}

impl From<TablesOfPython> for Given {
    fn from(found: TablesOfPython) -> Given {
        Given {
            limits: Limits {
                max_value_bytes: found.max_value_bytes,
                max_events: found.max_events,
                max_text_bytes: found.max_text_bytes,
                max_object_bytes: found.max_object_bytes,
                max_properties: found.max_properties,
                max_depth: found.max_depth,
                kept_of_too_large_bytes: found.kept_of_too_large_bytes,
            },
            times: Times { oldest: found.oldest_timestamp_ms, limit: found.timestamp_limit_ms },
            refusals: found.refusals,
            kinds: found.kinds,
            required_texts: found.required_texts,
            optional_ids: found.optional_ids,
            no_integer_field: found.no_integer_field,
            aliases: found.aliases,
            blocked_user_words: found.blocked_user_words,
            blocked_device_words: found.blocked_device_words,
            blocked_forms: found.blocked_forms,
            null_words: found.null_words,
            no_value_words: found.no_value_words,
            white_space: found.white_space,
            ascii_white_space: found.ascii_white_space,
            around_words: found.around_words,
            around_forms: found.around_forms,
            as_compared: found
                .as_compared
                .into_iter()
                .map(|each| (each.first, each.last, each.character))
                .collect(),
        }
    }
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
    fn new(py: Python<'_>, tables: &Bound<'_, PyAny>) -> PyResult<Self> {
        caught(|| {
            let found: TablesOfPython = tables.extract()?;
            if tables.len()? != TablesOfPython::COUNT {
                return Err(PyValueError::new_err("a table that the engine does not know"));
            }
            let tables = Given::from(found).tables().map_err(PyValueError::new_err)?;
            let reasons =
                tables.templates.iter().map(|each| PyString::intern(py, &each.reason).unbind()).collect();
            Ok(ValueReader { tables, decoded: Decoded::default(), reasons })
        })
    }

    /// How many events the values have, and how many refusals: what reading costs without Python's objects.
    fn count(&mut self, values: Vec<Option<PyBackedBytes>>) -> PyResult<(usize, usize)> {
        caught(|| {
            let mut found = (0, 0);
            for value in &values {
                decode(&self.tables, value.as_deref(), &mut self.decoded);
                found.0 += self.decoded.events.len();
                found.1 += self.decoded.rejections.len();
            }
            Ok(found)
        })
    }

    /// The events of a value, and what of it was refused.
    fn decode<'py>(&mut self, py: Python<'py>, value: Option<&[u8]>) -> PyResult<Outcomes<'py>> {
        caught(|| {
            decode(&self.tables, value, &mut self.decoded);
            self.outcomes(py, value.unwrap_or_default())
        })
    }

    /// The elements of a value, in order, whether they are events or refused.
    fn elements<'py>(&mut self, py: Python<'py>, value: &[u8]) -> PyResult<Vec<Bytes<'py>>> {
        caught(|| {
            decode(&self.tables, Some(value), &mut self.decoded);
            Ok(self.decoded.elements.iter().map(|element| PyBytes::new(py, element.of(value))).collect())
        })
    }

    /// The same of a value of which only the beginning is held.
    fn refuse_cut<'py>(
        &mut self,
        py: Python<'py>,
        beginning: &[u8],
        size_bytes: usize,
        sha256: &str,
    ) -> PyResult<Outcomes<'py>> {
        caught(|| {
            refuse_too_large(&self.tables, size_bytes, sha256, beginning, &mut self.decoded);
            self.outcomes(py, beginning)
        })
    }
}

impl ValueReader {
    fn outcomes<'py>(&self, py: Python<'py>, value: &[u8]) -> PyResult<Outcomes<'py>> {
        let own = &self.decoded.own[..];
        // Python's own error for what is not UTF-8 would quote it.
        let text = |piece: Piece| {
            PyString::from_bytes(py, piece.of(value, own))
                .map_err(|_| EngineFailed::new_err("a text is not UTF-8"))
        };
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
