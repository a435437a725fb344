//! `Fetch` and `Records` of the engine, for Python.
//!
//! It must not know the rules by which records are read. Invariant: a place is only ever read in the bytes that it was
//! found in.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use sessionizer_engine::kafka::fetch::{self, Most, Stop};
use sessionizer_engine::kafka::records::{Record, headers_of};

use crate::failures::caught;

/// Records that lie in one answer of a broker, or in a piece that was unpacked.
#[pyclass(frozen, module = "sessionizer_native")]
pub struct Records {
    bytes: Py<PyBytes>,
    all: Arc<Vec<Record>>,
    first: usize,
    end: usize,
}

impl Records {
    fn here(&self) -> &[Record] {
        &self.all[self.first..self.end]
    }
}

#[pymethods]
impl Records {
    fn __len__(&self) -> PyResult<usize> {
        caught(|| Ok(self.here().len()))
    }

    #[getter]
    fn first_offset(&self) -> PyResult<Option<i64>> {
        caught(|| Ok(self.here().first().map(|record| record.offset)))
    }

    #[getter]
    fn last_offset(&self) -> PyResult<Option<i64>> {
        caught(|| Ok(self.here().last().map(|record| record.offset)))
    }

    #[getter]
    fn value_bytes(&self) -> PyResult<usize> {
        caught(|| Ok(self.here().iter().map(|record| record.value.size()).sum()))
    }

    fn times(&self) -> PyResult<Vec<i64>> {
        caught(|| Ok(self.here().iter().map(|record| record.timestamp).collect()))
    }

    fn offsets(&self) -> PyResult<Vec<i64>> {
        caught(|| Ok(self.here().iter().map(|record| record.offset).collect()))
    }

    fn slice(&self, py: Python<'_>, start: usize, stop: usize) -> PyResult<Records> {
        caught(|| {
            let end = self.first.saturating_add(stop).min(self.end);
            let first = self.first.saturating_add(start).min(end);
            Ok(Records { bytes: self.bytes.clone_ref(py), all: Arc::clone(&self.all), first, end })
        })
    }

    fn tuples<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        caught(|| {
            let bytes = self.bytes.as_bytes(py);
            let none = PyTuple::empty(py);
            let tuples = PyList::empty(py);
            for record in self.here() {
                let key = record.key.of(bytes).map(|key| PyBytes::new(py, key));
                let value = record.value.of(bytes).map(|value| PyBytes::new(py, value));
                let headers =
                    if record.headers.size() > 1 { headers_tuple(py, bytes, record)? } else { none.clone() };
                tuples.append((record.offset, record.timestamp, key, value, headers))?;
            }
            Ok(tuples)
        })
    }
}

/// Names as text: brokers accept any bytes, and what is not UTF-8 becomes U+FFFD.
fn headers_tuple<'py>(py: Python<'py>, bytes: &[u8], record: &Record) -> PyResult<Bound<'py, PyTuple>> {
    let pairs = headers_of(bytes, record).into_iter().map(|(name, value)| {
        let name = PyString::new(py, &String::from_utf8_lossy(name));
        (name, value.map(|value| PyBytes::new(py, value)))
    });
    PyTuple::new(py, pairs.collect::<Vec<_>>())
}

/// The answer to one fetch of one partition, read batch by batch.
#[pyclass(module = "sessionizer_native")]
pub struct Fetch {
    answer: Py<PyBytes>,
    state: fetch::Fetch,
}

#[pymethods]
impl Fetch {
    #[new]
    #[pyo3(signature = (answer, position, aborted=Vec::new(), *, read_committed=true, check_crcs=true))]
    fn new(
        answer: Py<PyBytes>,
        position: i64,
        aborted: Vec<(i64, i64)>,
        read_committed: bool,
        check_crcs: bool,
    ) -> PyResult<Fetch> {
        caught(|| {
            Ok(Fetch { answer, state: fetch::Fetch::new(position, aborted, read_committed, check_crcs) })
        })
    }

    #[getter]
    fn position(&self) -> PyResult<i64> {
        caught(|| Ok(self.state.position()))
    }

    /// (records, bytes of their batches, why no more came, where the batch lies at which it stopped).
    fn read<'py>(
        &mut self,
        py: Python<'py>,
        most_records: usize,
        most_bytes: usize,
    ) -> PyResult<(Records, usize, &'static str, Bound<'py, PyAny>)> {
        caught(|| {
            let answer = self.answer.bind(py).as_bytes();
            let mut all = Vec::new();
            let most = Most { records: most_records, bytes: most_bytes };
            let (size, stop) = self.state.read(answer, most, &mut all);
            let (why, detail) = match stop {
                Stop::Full => ("full", py.None().into_bound(py)),
                Stop::End => ("end", py.None().into_bound(py)),
                Stop::Packed(batch) => ("packed", (batch.start, batch.end).into_pyobject(py)?.into_any()),
                Stop::Other(batch) => ("other", (batch.start, batch.end).into_pyobject(py)?.into_any()),
                Stop::Damaged(batch) => ("damaged", (batch.start, batch.end).into_pyobject(py)?.into_any()),
            };
            let end = all.len();
            let records = Records { bytes: self.answer.clone_ref(py), all: Arc::new(all), first: 0, end };
            Ok((records, size, why, detail))
        })
    }

    /// Go on at that offset, behind the batch at which reading stopped.
    fn pass_batch(&mut self, py: Python<'_>, position: i64) -> PyResult<()> {
        caught(|| {
            self.state.pass(self.answer.bind(py).as_bytes(), position);
            Ok(())
        })
    }
}
