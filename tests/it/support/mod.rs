//! What the tests of several rooms share.

pub(crate) mod chromium;
//! What stories need before they begin.

pub(crate) mod folder;
pub(crate) mod postgres;
