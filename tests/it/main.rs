//! Every integration test, in one binary: linking is the expensive part.

mod decode;
