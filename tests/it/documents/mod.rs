//! Signed documents: who may say what, what becomes of it, and what is refused.

mod cards;
mod feedback;
mod files;
mod manifests;
mod money;
mod payments;
mod pinning;
mod refused;
mod support;
mod trail;
mod validations;
mod wallets;
