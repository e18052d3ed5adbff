//! The registration file behind an agent's URI (EIP-8004, "Agent URI and Agent Registration File").
//!
//! The file is a stranger's: a value of the wrong type makes its own field empty and no other, and NUL, which Postgres
//! refuses, becomes U+FFFD (F45). Semantics are those of agent0's `registration-parser.ts`, except that the lists of
//! tools, prompts and skills are filled, and that of several endpoints of one kind the first one counts, as in the
//! file's order, instead of the last; all of them are in `endpoints_raw_json`.

use serde_json::{Map, Value};

/// What a registration file says: the columns of the table `registration_file`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrationFile {
    /// The agent's name.
    pub name: Option<String>,
    /// What it does; free text.
    pub description: Option<String>,
    /// The URL of its picture.
    pub image: Option<String>,
    /// Whether it says that it is in service.
    pub active: Option<bool>,
    /// Whether it takes payments by x402.
    pub x402_support: Option<bool>,
    /// Models of trust that it supports, such as `reputation`.
    pub supported_trusts: Vec<String>,
    /// All of its services as a JSON array of objects; nothing when the file has no list of them.
    pub endpoints_raw_json: Option<String>,
    /// Where it speaks MCP.
    pub mcp_endpoint: Option<String>,
    /// The version of MCP that it speaks there.
    pub mcp_version: Option<String>,
    /// Where it speaks A2A.
    pub a2a_endpoint: Option<String>,
    /// The version of A2A that it speaks there.
    pub a2a_version: Option<String>,
    /// Its web site.
    pub web_endpoint: Option<String>,
    /// Where its OASF record is.
    pub oasf_endpoint: Option<String>,
    /// The version of OASF of that record.
    pub oasf_version: Option<String>,
    /// OASF skills of all its services of that kind.
    pub oasf_skills: Vec<String>,
    /// OASF domains of all its services of that kind.
    pub oasf_domains: Vec<String>,
    /// Its e-mail address.
    pub email_endpoint: Option<String>,
    /// Its ENS name.
    pub ens: Option<String>,
    /// Its decentralized identifier.
    pub did: Option<String>,
    /// MCP tools of all its services of that kind.
    pub mcp_tools: Vec<String>,
    /// MCP prompts of all its services of that kind.
    pub mcp_prompts: Vec<String>,
    /// MCP resources of all its services of that kind.
    pub mcp_resources: Vec<String>,
    /// A2A skills of all its services of that kind.
    pub a2a_skills: Vec<String>,
}

type Object = Map<String, Value>;

impl RegistrationFile {
    /// Reads a file; nothing when it is no JSON object (nested 127 deep at most, `serde_json`'s own limit). Invalid
    /// UTF-8 is replaced by U+FFFD, a byte order mark is skipped. The caller bounds the size.
    #[must_use]
    pub fn parse(content: &[u8]) -> Option<Self> {
        let content = String::from_utf8_lossy(content);
        let Value::Object(file) = serde_json::from_str(content.trim_start_matches('\u{feff}')).ok()? else {
            return None;
        };
        let listed = services(&file);
        let services = Services(listed.into_iter().flatten().filter_map(Value::as_object).collect());
        let (mcp_endpoint, mcp_version) = services.endpoint("mcp");
        let (a2a_endpoint, a2a_version) = services.endpoint("a2a");
        let (oasf_endpoint, oasf_version) = services.endpoint("oasf");
        Some(Self {
            name: text(&file, "name"),
            description: text(&file, "description"),
            image: text(&file, "image"),
            active: file.get("active").and_then(Value::as_bool),
            x402_support: first_of(&file, ["x402Support", "x402support"]).and_then(x402),
            supported_trusts: first_of(&file, ["supportedTrusts", "supportedTrust"]).map_or_else(Vec::new, texts),
            endpoints_raw_json: listed.map(|_| services.raw_json()),
            mcp_endpoint,
            mcp_version,
            a2a_endpoint,
            a2a_version,
            web_endpoint: services.endpoint("web").0,
            oasf_endpoint,
            oasf_version,
            oasf_skills: services.list("oasf", ["skills", "oasfSkills"]),
            oasf_domains: services.list("oasf", ["domains", "oasfDomains"]),
            email_endpoint: services.endpoint("email").0,
            ens: services.endpoint("ens").0,
            did: services.endpoint("did").0,
            mcp_tools: services.list("mcp", ["mcpTools", "tools"]),
            mcp_prompts: services.list("mcp", ["mcpPrompts", "prompts"]),
            mcp_resources: services.list("mcp", ["mcpResources", "resources"]),
            a2a_skills: services.list("a2a", ["a2aSkills", "skills"]),
        })
    }
}

/// The file's list of services: under `services`, or under `endpoints` in older files and where the former is unusable.
fn services(file: &Object) -> Option<&Vec<Value>> {
    let lists = ["services", "endpoints"].map(|key| file.get(key).and_then(Value::as_array));
    let filled = lists.into_iter().flatten().find(|list| !list.is_empty());
    filled.or(lists[0]).or(lists[1])
}

/// The services of a file; entries that are no objects are left out.
struct Services<'a>(Vec<&'a Object>);

impl Services<'_> {
    /// The services of a kind; its name is written in any case.
    fn of(&self, kind: &'static str) -> impl Iterator<Item = &Object> {
        self.0.iter().copied().filter(move |service| {
            let name = service.get("name").and_then(Value::as_str);
            name.is_some_and(|name| name.trim().eq_ignore_ascii_case(kind))
        })
    }

    /// Endpoint and version of the first service of a kind that has an endpoint; else the first one's version alone.
    /// The version is never that of another endpoint.
    fn endpoint(&self, kind: &'static str) -> (Option<String>, Option<String>) {
        let filled = |service: &Object, key| text(service, key).filter(|text| !text.is_empty());
        let chosen = self.of(kind).find(|service| filled(service, "endpoint").is_some());
        match chosen.or_else(|| self.of(kind).next()) {
            Some(service) => (filled(service, "endpoint"), filled(service, "version")),
            None => (None, None),
        }
    }

    /// A list of all services of a kind taken together, each item once: whoever looks for a tool finds the agent,
    /// whichever of its endpoints offers it.
    fn list(&self, kind: &'static str, keys: [&str; 2]) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let listed = self.of(kind).filter_map(|service| first_of(service, keys)).flat_map(texts);
        listed.filter(|item| seen.insert(item.clone())).collect()
    }

    /// All services with everything that they say. NUL would be escaped here, but who reads this JSON would meet it.
    fn raw_json(&self) -> String {
        Value::Array(self.0.iter().map(|service| clean_object(service)).collect()).to_string()
    }
}

/// The value of the first of these keys that is there and not null.
fn first_of<'a>(object: &'a Object, keys: [&str; 2]) -> Option<&'a Value> {
    keys.into_iter().filter_map(|key| object.get(key)).find(|value| !value.is_null())
}

fn text(object: &Object, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(clean)
}

/// The items of a list: texts, or objects with a name (as MCP and A2A describe tools and skills) or an id.
fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    let named = items.filter_map(|item| match item {
        Value::String(text) => Some(text.as_str()),
        Value::Object(object) => first_of(object, ["name", "id"]).and_then(Value::as_str),
        _ => None,
    });
    named.map(clean).collect()
}

/// `true`, or `{"enabled": true}`, which some files say instead.
fn x402(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.get("enabled")?.as_bool())
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn clean_object(object: &Object) -> Value {
    Value::Object(object.iter().map(|(key, value)| (clean(key), clean_value(value))).collect())
}

/// As deep as the parser let the file be nested.
fn clean_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => Value::Array(items.iter().map(clean_value).collect()),
        Value::Object(object) => clean_object(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
