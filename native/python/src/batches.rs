//! `BatchWriter` and `Batch` of the engine, for Python.
//!
//! It must not know topics, nor what the client asks of a batch.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use sessionizer_engine::kafka::batch_writer::{self, Producer};

use crate::failures::caught;

/// Records of one partition, cut into batches.
#[pyclass(module = "sessionizer_native")]
pub struct BatchWriter(batch_writer::BatchWriter);

type Headers = Vec<(String, Option<Vec<u8>>)>;

#[pymethods]
impl BatchWriter {
    #[new]
    fn new(most_bytes: usize) -> PyResult<BatchWriter> {
        caught(|| Ok(BatchWriter(batch_writer::BatchWriter::new(most_bytes))))
    }

    /// Write records: each is (key, value, timestamp), the time now_ms where it is None.
    fn extend(&mut self, records: &Bound<'_, PyAny>, now_ms: i64) -> PyResult<()> {
        caught(|| {
            for record in records.try_iter()? {
                let record = record?;
                let record = record.cast::<PyTuple>()?;
                if record.len() != 3 {
                    return Err(PyTypeError::new_err("a record is (key, value, timestamp)"));
                }
                let (key, value) = (record.get_borrowed_item(0)?, record.get_borrowed_item(1)?);
                let timestamp: Option<i64> = record.get_borrowed_item(2)?.extract()?;
                let (key, value): (Option<&[u8]>, Option<&[u8]>) = (key.extract()?, value.extract()?);
                self.0.push(timestamp.unwrap_or(now_ms), key, value, &[]);
            }
            Ok(())
        })
    }

    /// Write one record with headers.
    fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: i64,
        headers: Headers,
    ) -> PyResult<()> {
        caught(|| {
            let pairs: Vec<batch_writer::RecordHeader<'_>> =
                headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref())).collect();
            self.0.push(timestamp, key, value, &pairs);
            Ok(())
        })
    }

    /// The batches so far; after that it is empty.
    fn take(&mut self) -> PyResult<Vec<Batch>> {
        caught(|| Ok(self.0.take().into_iter().map(Batch).collect()))
    }
}

/// A batch with at least one record.
#[pyclass(frozen, module = "sessionizer_native")]
pub struct Batch(batch_writer::Batch);

#[pymethods]
impl Batch {
    fn __len__(&self) -> PyResult<usize> {
        caught(|| Ok(usize::try_from(self.0.count()).unwrap_or(0)))
    }

    #[getter]
    fn size_bytes(&self) -> PyResult<usize> {
        caught(|| Ok(self.0.size()))
    }

    /// Its records, as they are compressed.
    fn records<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        caught(|| Ok(PyBytes::new(py, self.0.records())))
    }

    /// The batch as it is sent, of this producer: (id, epoch, sequence).
    #[pyo3(signature = (producer, attributes, packed=None))]
    fn build<'py>(
        &self,
        py: Python<'py>,
        producer: (i64, i16, i32),
        attributes: i16,
        packed: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        caught(|| {
            let (id, epoch, sequence) = producer;
            let body = packed.unwrap_or(self.0.records());
            let header = self.0.header(Producer { id, epoch, sequence }, attributes, body);
            let header = header.ok_or_else(|| PyValueError::new_err("a batch of 2 GiB or more"))?;
            PyBytes::new_with(py, header.len() + body.len(), |built| {
                built[..header.len()].copy_from_slice(&header);
                built[header.len()..].copy_from_slice(body);
                Ok(())
            })
        })
    }
}
