//! The border: hands values of Python to the engine and its results back, and decides nothing.
//!
//! It must not know any rule of events or sessions. Invariant: no call back into Python's code from inside the
//! engine, and no panic leaves a call.
#![forbid(unsafe_code)]

mod batches;
mod failures;
mod records;
mod value_reader;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod sessionizer_native {
    use super::*;

    #[pymodule_export]
    use super::batches::{Batch, BatchWriter};
    #[pymodule_export]
    use super::failures::{EngineFailed, panic_here};
    #[pymodule_export]
    use super::records::{Fetch, Records};
    #[pymodule_export]
    use super::value_reader::ValueReader;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::failures::keep_places();
        module.add("SOURCES", env!("SESSIONIZER_SOURCES"))
    }
}
