//! Registration files that a URI holds in itself. Nothing changes one once it is there.

use super::super::traffic::known_uri;
use super::AgentKey;
use super::history::At;
use super::rows::{Row, Rows, of_agent, placed};

/// All that were set.
#[derive(Debug, Default, Clone)]
pub(crate) struct Files(Vec<Row>);

impl Files {
    /// An agent says where its file is.
    pub(super) fn set(&mut self, key: AgentKey, uri: &[u8], at: At) {
        let Some(file) = known_uri(uri).file else { return };
        let mut row = of_agent(key, placed(&at));
        row.insert("cid", Some("datauri".into()));
        for text in TEXTS {
            row.insert(text, None);
        }
        for list in LISTS {
            row.insert(list, Some("[]".into()));
        }
        for (column, says) in file {
            row.insert(column, Some((*says).into()));
        }
        self.0.push(row);
    }

    pub(super) fn rows(&self, rows: &mut Rows) {
        rows.put_all("registration_file", self.0.iter().cloned());
    }
}

const TEXTS: [&str; 16] = [
    "name",
    "description",
    "image",
    "active",
    "x402_support",
    "endpoints_raw_json",
    "mcp_endpoint",
    "mcp_version",
    "a2a_endpoint",
    "a2a_version",
    "web_endpoint",
    "oasf_endpoint",
    "oasf_version",
    "email_endpoint",
    "ens",
    "did",
];

const LISTS: [&str; 7] =
    ["supported_trusts", "oasf_skills", "oasf_domains", "mcp_tools", "mcp_prompts", "mcp_resources", "a2a_skills"];
