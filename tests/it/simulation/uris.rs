//! URIs of agents as strangers set them, and, by hand, what the registration files in them say.

/// A URI.
#[derive(Debug)]
pub(super) struct Uri {
    pub(super) uri: &'static [u8],
    /// What `agentURIType` calls it.
    pub(super) kind: &'static str,
    /// The file in it: the columns that are not empty, lists as JSON.
    pub(super) file: Option<&'static [(&'static str, &'static str)]>,
}

const fn no_file(uri: &'static [u8], kind: &'static str) -> Uri {
    Uri { uri, kind, file: None }
}

/// All that are drawn.
pub(super) const URIS: &[Uri] = &[
    no_file(b"", "unknown"),
    no_file(b"ipfs://bafkreidky4zbb4jya5cysj5iljpjjqa3xehrz3otwz3i2itqe4bw5rx3ji", "ipfs"),
    no_file(b"https://agent.example/card.json", "https"),
    no_file(b"junk\0\xff", "unknown"),
    no_file(b"data:application/json,[1]", "data"),
    no_file(b"data:application/json;base64,!!", "data"),
    Uri {
        uri: br#"{"name": "raw", "active": true}"#,
        kind: "json",
        file: Some(&[("name", "raw"), ("active", "true")]),
    },
    Uri {
        uri: b"data:application/json,%7B%22name%22%3A%22percent%22%2C%22description%22%3A%22d%22%7D",
        kind: "data",
        file: Some(&[("name", "percent"), ("description", "d")]),
    },
    Uri {
        // {"name":"n\u0000l","services":[{"name":"MCP","endpoint":"https://m","version":"1","tools":["a","b"]}]}
        uri: b"data:application/json;base64,eyJuYW1lIjoiblx1MDAwMGwiLCJzZXJ2aWNlcyI6W3sibmFtZSI6Ik1DUCIsImVuZHBvaW50IjoiaHR0cHM6Ly9tIiwidmVyc2lvbiI6IjEiLCJ0b29scyI6WyJhIiwiYiJdfV19",
        kind: "data",
        file: Some(&[
            ("name", "n\u{fffd}l"),
            ("endpoints_raw_json", r#"[{"endpoint":"https://m","name":"MCP","tools":["a","b"],"version":"1"}]"#),
            ("mcp_endpoint", "https://m"),
            ("mcp_version", "1"),
            ("mcp_tools", r#"["a","b"]"#),
        ]),
    },
];
