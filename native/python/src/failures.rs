//! Panics, which never leave a call: each becomes `EngineFailed`, with the place in the source.
//!
//! It must not know what was called. Invariants: nothing of a panic's own text is told, which may quote an event;
//! whoever catches the error drops the object that was called, for its state may be half changed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use pyo3::create_exception;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

create_exception!(sessionizer_native, EngineFailed, PyRuntimeError);

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the place of each panic for `caught`, instead of writing it to standard error.
pub fn keep_places() {
    set_hook(Box::new(|panic| {
        PLACE.set(
            panic
                .location()
                .map_or_else(String::new, |place| format!("at {}:{}", place.file(), place.line())),
        );
    }));
}

/// The result of the work, which is all that a method does; EngineFailed where it panicked.
pub fn caught<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(EngineFailed::new_err(PLACE.take())))
}

/// Panic, as a fault of the engine does: for tests of what becomes of it.
#[pyfunction]
pub fn panic_here() -> PyResult<()> {
    caught(|| panic!("as a test wants"))
}
