//! Signed documents: who may say what, what becomes of it, and what is refused.

mod feedback;
mod files;
mod refused;
mod support;
mod wallets;
