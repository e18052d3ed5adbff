//! How what is said of an agent developed, and who said it: counted anew for each interval, each client and each pair.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Address;
use num_bigint::BigInt;
use serde_json::{Value, json};

use super::feedback::Feedback;
use super::standings::{PLACES, shown};
use super::{AgentKey, Model};

/// Decimal places of a share.
const SHARE_PLACES: u32 = 20;
/// Decimal places of an average of averages, more than are shown of it.
const MEAN_PLACES: u32 = 100;

/// Feedback of any time, and when it ceased to stand.
struct Said<'a> {
    client: Address,
    given: &'a Feedback,
    revoked_at: Option<u64>,
    gone_at: Option<u64>,
}

/// What one client says: how often, and the sum.
type Voice = (usize, BigInt);

impl Model {
    fn said_of(&self, agent: AgentKey, aspect: &[u8]) -> Vec<Said<'_>> {
        let mut said = Vec::new();
        for ((of, client, _), history) in &self.feedback.given {
            for (place, span) in history.0.iter().enumerate() {
                if *of != agent || !span.is.said.aspects.contains(aspect) {
                    continue;
                }
                let revoked_at = span.is.revoked.map(|at| at.time);
                let superseded_at = span.end.map(|_| history.0[place + 1].is.at.time);
                said.push(Said { client: *client, given: &span.is, revoked_at, gone_at: revoked_at.or(superseded_at) });
            }
        }
        said
    }

    /// The points of a series, of intervals of that many seconds, the first of which began so long before 1970.
    pub(crate) fn series(&self, agent: AgentKey, aspect: &[u8], (seconds, before): (u64, u64)) -> Value {
        let start = |time: u64| i128::from(time) - i128::from((time + before) % seconds);
        let said = self.said_of(agent, aspect);
        let times = said.iter().flat_map(|said| [Some(said.given.at.time), said.gone_at]).flatten();
        let starts: BTreeSet<i128> = times.map(start).collect();
        let point = |at: &i128| {
            let given: Vec<&Feedback> =
                said.iter().map(|said| said.given).filter(|given| start(given.at.time) == *at).collect();
            let revoked = said.iter().filter(|said| said.revoked_at.is_some_and(|time| start(time) == *at)).count();
            let mut values: Vec<&BigInt> = given.iter().map(|given| &given.said.value).collect();
            values.sort();
            let sum = values.iter().copied().sum::<BigInt>();
            let voices =
                voices(said.iter().filter(|said| {
                    start(said.given.at.time) <= *at && said.gone_at.is_none_or(|time| start(time) > *at)
                }));
            json!({
                "start": at.to_string(), "given": given.len().to_string(), "revoked": revoked.to_string(),
                "givenAverage": mean(&sum, given.len()), "givenMin": values.first().map(|value| shown(value, PLACES)),
                "givenMax": values.last().map(|value| shown(value, PLACES)),
                "active": voices.values().map(|(count, _)| count).sum::<usize>().to_string(),
                "average": mean(&voices.values().map(|(_, total)| total).sum(), voices.values().map(|(count, _)| count).sum()),
                "clientCount": voices.len().to_string(),
                "perClientAverage": mean(&voices.values().map(average).sum(), voices.len()),
            })
        };
        starts.iter().map(point).collect()
    }

    fn voices_of(&self, agent: AgentKey, aspect: &[u8]) -> BTreeMap<Address, Voice> {
        voices(self.said_of(agent, aspect).iter().filter(|said| said.gone_at.is_none()))
    }

    /// What a client says of whom, beside what others say; `name` tells an agent's id.
    pub(crate) fn report(&self, client: Address, aspect: &[u8], name: impl Fn(AgentKey) -> String) -> Value {
        let of_client = self.feedback.given.iter().filter(|((_, by, _), _)| *by == client);
        let held: Vec<(AgentKey, &Feedback)> =
            of_client.filter_map(|((agent, ..), history)| Some((*agent, history.now()?))).collect();
        let agents: BTreeSet<AgentKey> = held.iter().map(|(agent, _)| *agent).collect();
        let mut compared = Vec::new();
        for agent in &agents {
            let mut voices = self.voices_of(*agent, aspect);
            let Some(own) = voices.remove(&client) else { continue };
            let others = voices.values().fold((0, BigInt::ZERO), |sum, voice| (sum.0 + voice.0, sum.1 + &voice.1));
            let deviation = (others.0 > 0).then(|| average(&own) - average(&others));
            compared.push((*agent, own, others, deviation));
        }
        compared.sort_by_key(|(agent, (count, _), ..)| (std::cmp::Reverse(*count), *agent));
        let apart: Vec<BigInt> =
            compared.iter().filter_map(|(.., apart)| Some(BigInt::from(apart.as_ref()?.magnitude().clone()))).collect();
        let finer = apart.iter().sum::<BigInt>() * BigInt::from(10).pow(MEAN_PLACES - PLACES);
        let times = || held.iter().map(|(_, given)| given.at.time);
        let rows = compared.iter().map(|(agent, own, others, deviation)| {
            json!({
                "agent": name(*agent), "count": own.0.to_string(), "average": mean(&own.1, own.0),
                "othersCount": others.0.to_string(), "othersAverage": mean(&others.1, others.0),
                "deviation": deviation.as_ref().map(|deviation| shown(deviation, PLACES)),
            })
        });
        json!({
            "given": held.len().to_string(),
            "revoked": held.iter().filter(|(_, given)| given.revoked.is_some()).count().to_string(),
            "agents": agents.len().to_string(), "firstAt": times().min().map(|time| time.to_string()),
            "lastAt": times().max().map(|time| time.to_string()),
            "averageDeviation":
                (!apart.is_empty()).then(|| shown(&(finer / BigInt::from(apart.len())), MEAN_PLACES)),
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    /// The clients that two agents share.
    pub(crate) fn overlap(&self, agent: AgentKey, other: AgentKey, aspect: &[u8]) -> Value {
        let (one, two) = (self.voices_of(agent, aspect), self.voices_of(other, aspect));
        let mut shared: Vec<(&Address, &Voice, &Voice)> =
            one.iter().filter_map(|(client, voice)| Some((client, voice, two.get(client)?))).collect();
        shared.sort_by_key(|(client, one, two)| (std::cmp::Reverse(one.0 + two.0), **client));
        let all = one.len() + two.len() - shared.len();
        // Rounded half up.
        let twice = BigInt::from(2 * shared.len()) * BigInt::from(10).pow(SHARE_PLACES);
        let jaccard = (all > 0).then(|| shown(&((twice + BigInt::from(all)) / BigInt::from(2 * all)), SHARE_PLACES));
        let rows = shared.iter().map(|(client, one, two)| {
            json!({
                "client": format!("0x{}", alloy::hex::encode(client)), "count": one.0.to_string(),
                "average": mean(&one.1, one.0), "otherCount": two.0.to_string(), "otherAverage": mean(&two.1, two.0),
            })
        });
        json!({
            "clients": one.len().to_string(), "otherClients": two.len().to_string(), "shared": shared.len().to_string(),
            "jaccard": jaccard, "rows": rows.collect::<Vec<_>>(),
        })
    }

    /// Who ever gave feedback.
    pub(crate) fn clients(&self) -> BTreeSet<Address> {
        self.feedback.given.keys().map(|(_, client, _)| *client).collect()
    }
}

fn voices<'a>(said: impl Iterator<Item = &'a Said<'a>>) -> BTreeMap<Address, Voice> {
    let mut voices = BTreeMap::<Address, Voice>::new();
    for said in said {
        let voice = voices.entry(said.client).or_default();
        voice.0 += 1;
        voice.1 += &said.given.said.value;
    }
    voices
}

/// The mean, cut toward zero behind the last place.
fn average((count, total): &Voice) -> BigInt {
    total / BigInt::from(*count)
}

/// The mean as it is shown; nothing of nothing.
fn mean(total: &BigInt, count: usize) -> Option<String> {
    (count > 0).then(|| shown(&(total / BigInt::from(count)), PLACES))
}
