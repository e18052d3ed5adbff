//! Somebody who came in: what they do is counted here, before it is done.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::Address;
use axum::response::Response;

use super::address;
use super::asked::Asked;
use super::refusal::{Refusal, write};
use crate::config::{Limits, Quota};
use crate::key::Token;
use crate::limit::{Kind, Limiter, Rule, Verdict};
use crate::store::{ApiKey, Sender};

/// A kind of document that somebody signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Signed {
    /// An agent's card.
    Registration,
    /// Feedback: given, revised or revoked.
    Feedback,
    /// A payment that is linked to feedback.
    PaymentLink,
    /// Any other, which has no limit of its own.
    Other,
}

/// The limits, and what is counted against them.
pub(super) struct Counters {
    pub(super) limits: Limits,
    limiter: Limiter,
    /// Requests so far, those that were refused among them.
    requests: AtomicU64,
}

impl Counters {
    pub(super) fn new(limits: Limits, limiter: Limiter) -> Self {
        Self { limits, limiter, requests: AtomicU64::new(0) }
    }

    /// How many requests there were so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts something beside an address' requests, against a limit as large as theirs.
    pub(super) async fn of_address(&self, what: &str, address: IpAddr) -> Result<(), Refusal> {
        let rule = Rule::per_minute(self.limits.public.requests_per_minute);
        let subject = format!("{what}ip:{}", address::subject(address));
        Refusal::of(self.limiter.take(Kind::Ip, &subject, rule, 1).await, "requests from this address")
    }
}

/// A key that was found good.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) token: Token,
    pub(super) key: Arc<ApiKey>,
}

/// Whoever asks, and what they were told of their limits.
pub(in crate::api) struct Caller {
    counters: Arc<Counters>,
    pub(super) address: IpAddr,
    pub(super) key: Option<Held>,
    /// The request's id, as its response bears it.
    request_id: String,
    told: Mutex<Option<Verdict>>,
}

impl Caller {
    pub(super) fn new(counters: Arc<Counters>, address: IpAddr, key: Option<Held>, request_id: &str) -> Self {
        Self { counters, address, key, request_id: request_id.to_owned(), told: Mutex::default() }
    }

    /// Who hands a document in, but for who signed it.
    pub(in crate::api) fn sender(&self) -> Sender {
        Sender { signer: String::new(), request_id: self.request_id.clone(), address: self.address.to_string() }
    }

    /// The same caller with another request, which is yet to be counted.
    pub(in crate::api) fn anew(&self) -> Self {
        Self::new(Arc::clone(&self.counters), self.address, self.key.clone(), &self.request_id)
    }

    /// The same caller with that key.
    pub(super) fn holding(&self, key: Option<Held>) -> Self {
        Self::new(Arc::clone(&self.counters), self.address, key, &self.request_id)
    }

    /// Counts a request.
    pub(in crate::api) async fn request(&self) -> Result<(), Refusal> {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let (kind, whose) = match &self.key {
            Some(_) => (Kind::Key, "requests with this key"),
            None => (Kind::Ip, "requests from this address; an API key has limits of its own"),
        };
        let rule = Rule::per_minute(self.quota().requests_per_minute);
        self.take(kind, &self.subject(), rule, 1, whose).await
    }

    /// Counts what a query asks.
    pub(in crate::api) async fn asks(&self, asked: Asked) -> Result<(), Refusal> {
        let quota = self.quota();
        for (name, most, count) in
            [("lookups", quota.lookups_per_hour, asked.lookups), ("searches", quota.searches_per_hour, asked.searches)]
        {
            let subject = format!("{name}:{}", self.subject());
            self.take(Kind::Operation, &subject, Rule::per_hour(most), count, name).await?;
        }
        Ok(())
    }

    /// Counts a document that somebody signed.
    pub(super) async fn signs(&self, signer: Address, signed: Signed) -> Result<(), Refusal> {
        let (of_signer, signer) = (&self.counters.limits.signer, format!("signer:{signer:#x}"));
        let rule = Rule::per_minute(of_signer.requests_per_minute);
        self.take(Kind::Signer, &signer, rule, 1, "documents of this signer").await?;
        for (subject, quota) in [(signer, of_signer), (self.subject(), self.quota())] {
            let (name, most) = match signed {
                Signed::Registration => ("registrations", quota.registrations_per_hour),
                Signed::Feedback => ("feedback", quota.feedback_per_hour),
                Signed::PaymentLink => ("payment links", quota.payment_links_per_hour),
                Signed::Other => continue,
            };
            self.take(Kind::Operation, &format!("{name}:{subject}"), Rule::per_hour(most), 1, name).await?;
        }
        Ok(())
    }

    async fn take(&self, kind: Kind, subject: &str, rule: Rule, count: u32, what: &str) -> Result<(), Refusal> {
        let verdict = self.counters.limiter.take(kind, subject, rule, count).await;
        if let Some(verdict) = verdict {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            *told = Some(told.map_or(verdict, |before| tighter(before, verdict)));
        }
        Refusal::of(verdict, what)
    }

    fn quota(&self) -> &Quota {
        match &self.key {
            Some(held) => self.counters.limits.tier.of(held.key.tier),
            None => &self.counters.limits.public,
        }
    }

    fn subject(&self) -> String {
        match &self.key {
            Some(held) => format!("key:{}", held.key.id),
            None => format!("ip:{}", address::subject(self.address)),
        }
    }

    /// Writes the tightest limit into a response's headers; one that was refused makes it a refusal, whichever part of the
    /// request that was.
    pub(in crate::api) fn tell(&self, response: &mut Response) {
        if let Some(verdict) = *self.told.lock().unwrap_or_else(PoisonError::into_inner) {
            write(verdict, response);
        }
    }
}

/// Of two limits the one that is felt first.
fn tighter(one: Verdict, other: Verdict) -> Verdict {
    let rank = |verdict: &Verdict| (verdict.retry_after_seconds.is_none(), verdict.remaining);
    if rank(&other) < rank(&one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use alloy::primitives::Address;

    use super::{Caller, Counters, Signed};
    use crate::config::{Limits, Quota};
    use crate::limit::Limiter;

    fn from(limits: Limits) -> impl Fn() -> Caller {
        let counters = Arc::new(Counters::new(limits, Limiter::alone()));
        move || Caller::new(Arc::clone(&counters), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), None, "id")
    }

    async fn signs(caller: &Caller, signer: u8, signed: Signed) -> Result<(), String> {
        let admitted = caller.signs(Address::repeat_byte(signer), signed).await;
        admitted.map_err(|refusal| refusal.message)
    }

    #[tokio::test]
    async fn a_signer_has_limits_of_each_kind_of_document_and_of_all() {
        let signer =
            Quota { requests_per_minute: 6, feedback_per_hour: 2, registrations_per_hour: 1, ..Quota::default() };
        let caller = from(Limits { signer, ..Limits::default() })();
        for signed in [Signed::Feedback, Signed::Registration, Signed::Feedback] {
            assert_eq!(signs(&caller, 1, signed).await, Ok(()));
        }
        for (signed, said) in
            [(Signed::Feedback, "too many feedback;"), (Signed::Registration, "too many registrations;")]
        {
            assert!(signs(&caller, 1, signed).await.expect_err("it is full").starts_with(said));
        }
        assert_eq!(signs(&caller, 1, Signed::Other).await, Ok(()));
        let all = signs(&caller, 1, Signed::PaymentLink).await.expect_err("six documents in a minute");
        assert!(all.starts_with("too many documents of this signer; ask again in "), "{all}");
        assert_eq!(signs(&caller, 2, Signed::Feedback).await, Ok(()), "another signer");
    }

    #[tokio::test]
    async fn many_signers_behind_one_address_have_its_limits_too() {
        let public = Quota { payment_links_per_hour: 2, ..Quota::default() };
        let caller = from(Limits { public, ..Limits::default() })();
        for signer in 1..=2 {
            assert_eq!(signs(&caller, signer, Signed::PaymentLink).await, Ok(()));
        }
        assert!(signs(&caller, 3, Signed::PaymentLink).await.is_err());
        assert_eq!(signs(&caller, 3, Signed::Feedback).await, Ok(()));
    }

    #[tokio::test]
    async fn a_response_tells_the_tightest_limit_and_any_that_refused() {
        let public = Quota { requests_per_minute: 9, lookups_per_hour: 2, ..Quota::default() };
        let signer = Quota { feedback_per_hour: 1, ..Quota::default() };
        let new = from(Limits { public, signer, ..Limits::default() });
        let told = |caller: &Caller| {
            let mut response = axum::response::Response::default();
            caller.tell(&mut response);
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()?.parse().ok());
            (response.status().as_u16(), header("x-ratelimit-limit"), header("x-ratelimit-remaining"))
        };
        let caller = new();
        caller.request().await.expect("the first");
        assert_eq!(told(&caller), (200, Some(9_u64), Some(8)));
        let asked = super::Asked { lookups: 1, searches: 4 };
        caller.asks(asked).await.expect("the first");
        assert_eq!(told(&caller), (200, Some(2), Some(1)));
        for is_refused in [false, true] {
            let caller = new();
            caller.request().await.expect("there are nine");
            assert_eq!(caller.signs(Address::ZERO, Signed::Feedback).await.is_err(), is_refused);
            caller.asks(super::Asked::default()).await.expect("nothing is asked");
            assert_eq!(told(&caller), (if is_refused { 429 } else { 200 }, Some(1), Some(0)));
        }
        assert_eq!(told(&from(Limits::default())()), (200, None, None));
    }
}
