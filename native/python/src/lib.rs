//! The border: hands values of Python to the engine and its results back, and decides nothing.
//!
//! It must not know any rule of events or sessions. Invariant: no call back into Python's code from inside the
//! engine, and no panic leaves a call.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod sessionizer_native {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("SOURCES", env!("SESSIONIZER_SOURCES"))
    }
}
