//! The audit against endpoints that lost, forged or hid something: what ingestion below finality cannot notice (F5).
//!
//! A story ingests through an endpoint with a fault, and then audits through whatever endpoints are there by then.

mod blooms;
mod calls;
mod census;
mod findings;
mod logs;
mod repair;
mod rows;
mod support;
