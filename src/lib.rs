//! Meikan (名鑑, a who's-who): an indexer and query node for trustless agents (ERC-8004) on Taiko.
