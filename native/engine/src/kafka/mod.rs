//! Kafka's record batches, format 2: read from the answer to a fetch, written for a producer.
//!
//! It must not know what a record means, nor any codec: what is compressed is unpacked and packed outside.

pub mod batch_writer;
pub mod fetch;
pub mod header;
pub mod records;
pub mod varint;
