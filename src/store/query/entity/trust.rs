//! How far an agent can be trusted: the rules, over its ratings, its payments and the circles that it is named in.

use super::document::payment::paid;
use super::reputation::{fell, stands};
use super::{Choice, Field};

/// Whether feedback that stands says that the agent is part of a payment cycle: the tag `payment_cycle`.
macro_rules! in_payment_cycle {
    ($($feedback:expr),+) => {
        concat!("(FALSE" $(, " OR EXISTS (SELECT ", $feedback, "f.aspect = '\\x7138b1b0455fc2ade29e869614a21010')")+, ")")
    };
}

/// Whether a report names the agent in a circle of requests.
macro_rules! in_reported_cycle {
    () => {
        "EXISTS (SELECT FROM cycle_agent y WHERE y.chain_id = {t}.chain_id AND y.deployment = {t}.deployment \
         AND y.agent_id = {t}.agent_id AND {begun y})"
    };
}

/// The levels with their rules, in the order in which they are tried, over `x`: the ratings' number and average, how many
/// payments were tried, and how many of them succeeded, in percent. Where none was linked the ratings alone decide.
macro_rules! graded {
    ($told:expr) => {
        concat!(
            "(SELECT ",
            $told,
            " FROM (SELECT count(*) AS tried, count(*) FILTER (WHERE p.status = 'CONFIRMED') * 100.0 / nullif(count(*), 0) \
                 AS success, COALESCE({t}_ratings.active, 0) AS ratings, {t}_ratings.average AS average ",
            paid!(),
            ") x)"
        )
    };
}
macro_rules! grade {
    ($excellent:literal, $good:literal, $fair:literal, $else:literal) => {
        concat!(
            "CASE WHEN x.average >= 80 AND CASE WHEN x.tried > 0 THEN x.success >= 95 AND x.tried >= 10 \
                 ELSE x.ratings >= 10 END THEN ",
            $excellent,
            " WHEN x.average >= 70 AND CASE WHEN x.tried > 0 THEN x.success >= 85 AND x.tried >= 5 \
                 ELSE x.ratings >= 5 END THEN ",
            $good,
            " WHEN x.average >= 60 AND (x.tried = 0 OR x.success >= 75) THEN ",
            $fair,
            " ELSE ",
            $else,
            " END"
        )
    };
}
macro_rules! trust_level {
    ($($feedback:expr),+) => {
        concat!(
            "CASE WHEN ",
            in_payment_cycle!($($feedback),+),
            " OR ",
            in_reported_cycle!(),
            " THEN 'UNTRUSTED' ELSE ",
            graded!(concat!(
                "CASE WHEN x.ratings = 0 AND x.tried = 0 THEN 'NEW' ELSE ",
                grade!("'EXCELLENT'", "'GOOD'", "'FAIR'", "'POOR'"),
                " END"
            )),
            " END"
        )
    };
}
macro_rules! trust_reason {
    ($($feedback:expr),+) => {
        concat!(
            "CASE WHEN ",
            in_payment_cycle!($($feedback),+),
            " THEN 'feedback that stands names it in a payment cycle' WHEN ",
            in_reported_cycle!(),
            " THEN 'a report names it in a circle of requests' ELSE ",
            graded!(concat!(
                "CASE WHEN x.ratings = 0 AND x.tried = 0 THEN 'no rating stands and no payment is linked' ELSE \
                 CASE WHEN x.ratings = 0 THEN 'no rating stands' \
                     ELSE x.ratings || ' ratings average ' || trim_scale(trunc(x.average, 2)) END \
                 || CASE WHEN x.tried > 0 THEN ', and of ' || x.tried || ' payments ' \
                     || trim_scale(trunc(x.success, 2)) || ' % succeeded' ELSE '' END || ': ' || ",
                grade!(
                    "CASE WHEN x.tried > 0 THEN 'at least 80, and at least 95 % of at least 10 payments' \
                         ELSE 'at least 80, by at least 10' END",
                    "CASE WHEN x.tried > 0 THEN 'at least 70, and at least 85 % of at least 5 payments' \
                         ELSE 'at least 70, by at least 5' END",
                    "CASE WHEN x.tried > 0 THEN 'at least 60, and at least 75 % of the payments' ELSE 'at least 60' END",
                    "CASE WHEN x.average >= 60 THEN 'below 75 % of the payments' WHEN x.ratings = 0 \
                         THEN 'payments alone are no ground for trust' ELSE 'below 60' END"
                ),
                " END"
            )),
            " END"
        )
    };
}

/// The level, and the rule that decided it, over the agent's standing in ratings, `{t}_ratings`.
pub(super) fn of_trust() -> Vec<Field> {
    vec![
        Field::choice(
            "trustLevel",
            &TRUST_LEVEL,
            trust_level!(stands!()),
            "How far the agent can be trusted by its ratings and its payments: the first level whose rule fits.",
        )
        .pinned(trust_level!(stands!(), fell!())),
        Field::text(
            "trustReason",
            trust_reason!(stands!()),
            "The rule that decided the trust level, with its numbers (the average cut to two decimal places).",
        )
        .pinned(trust_reason!(stands!(), fell!())),
    ]
}

/// What the payments to the agent sum up to.
pub(super) fn of_payments() -> Vec<Field> {
    vec![
        Field::integer(
            "payments",
            concat!("(SELECT count(*) ", paid!(), " AND p.status = 'CONFIRMED')"),
            "Payments to the agent that were linked and made, with whatever token: `paymentTotals` has them by token.",
        ),
        Field::integer(
            "failedPayments",
            concat!("(SELECT count(*) ", paid!(), " AND p.status = 'FAILED')"),
            "Payments to the agent that were linked and failed.",
        ),
        Field::decimal(
            "paymentSuccess",
            concat!(
                "(SELECT div(count(*) FILTER (WHERE p.status = 'CONFIRMED') * 1e20, nullif(count(*), 0)) * 1e-18 ",
                paid!(),
                ")"
            ),
            "How many of both were made, in percent; null while none is linked.",
        )
        .nullable(),
        Field::integer(
            "lastPaymentAt",
            concat!("(SELECT max(p.paid_at) ", paid!(), " AND p.status = 'CONFIRMED')"),
            "When the last payment was made, in seconds since 1970; null while there is none.",
        )
        .nullable(),
    ]
}

static TRUST_LEVEL: Choice = Choice {
    name: "TrustLevel",
    doc: "How far an agent can be trusted, by its ratings and by the payments that are linked to it. The first rule that fits \
          decides; while no payment is linked, the number of ratings stands in the place of that of payments.",
    values: &[
        (
            "UNTRUSTED",
            "Feedback that stands says that it is part of a payment cycle (first tag `payment_cycle`), or a report that was \
             taken names it in a circle of requests.",
        ),
        ("NEW", "No rating stands, and no payment is linked."),
        ("EXCELLENT", "The ratings average at least 80, and of at least ten payments at least 95 % succeeded."),
        ("GOOD", "The ratings average at least 70, and of at least five payments at least 85 % succeeded."),
        ("FAIR", "The ratings average at least 60, and at least 75 % of the payments succeeded."),
        ("POOR", "No other rule fits."),
    ],
};
