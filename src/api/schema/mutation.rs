//! Mutations: signed documents that are handed in. Each answers with what the document made, or made it into.

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef,
};

use super::described;
use crate::api::argument::Arguments;
use crate::api::error::{Code, error, from_query, from_refusal};
use crate::api::gate::{Caller, Signed, admit_signer};
use crate::api::selection;
use crate::api::session::Session;
use crate::api::tree::{Tree, hand_out};
use crate::document::{Kind, Refusal};
use crate::store::query::When;
use crate::store::query::entity::{self, Entity};
use crate::submit::{About, Receipt, Submission, Submitter};

/// A way to hand in documents of a kind.
struct Mutation {
    name: &'static str,
    kind: Kind,
    /// What it answers with.
    entity: &'static str,
    doc: &'static str,
}

/// Every way.
const MUTATIONS: [Mutation; 11] = [
    Mutation {
        name: "submitFeedback",
        kind: Kind::Feedback,
        entity: "OffchainFeedback",
        doc: "Gives feedback about an agent. Its owner, and whoever acts for its owner, cannot.",
    },
    Mutation {
        name: "reviseFeedback",
        kind: Kind::FeedbackRevision,
        entity: "OffchainFeedback",
        doc: "Puts a new version in the place of feedback that stands; all versions are kept.",
    },
    Mutation {
        name: "revokeFeedback",
        kind: Kind::FeedbackRevocation,
        entity: "OffchainFeedback",
        doc: "Ends feedback for good; it is kept, as revoked.",
    },
    Mutation {
        name: "publishAgentCard",
        kind: Kind::AgentCard,
        entity: "AgentCard",
        doc: "Publishes an agent's card in the place of the one before, by its owner or its wallet; all versions are kept.",
    },
    Mutation {
        name: "requestValidation",
        kind: Kind::ValidationRequest,
        entity: "OffchainValidation",
        doc: "Asks a validator to look at something, by the agent's owner or its wallet.",
    },
    Mutation {
        name: "respondValidation",
        kind: Kind::ValidationResponse,
        entity: "OffchainValidation",
        doc: "Answers a request, by the validator that it names; again, as long as it has not expired.",
    },
    Mutation {
        name: "publishManifest",
        kind: Kind::Manifest,
        entity: "EndpointManifest",
        doc: "Says where an agent is and by which key, by its owner or its wallet, in the place of the manifest before.",
    },
    Mutation {
        name: "revokeManifest",
        kind: Kind::ManifestRevocation,
        entity: "EndpointManifest",
        doc: "Ends a manifest before its time, by the agent's owner or its wallet.",
    },
    Mutation {
        name: "recordForward",
        kind: Kind::ForwardReceipt,
        entity: "ForwardReceipt",
        doc: "Records that an agent took over a request, by that agent's owner or its wallet. One that would lead back to an \
              agent that had the request is refused.",
    },
    Mutation {
        name: "reportCycle",
        kind: Kind::CycleReport,
        entity: "CycleReport",
        doc: "Reports that a request went in a circle, by anybody who holds the receipt that closes it.",
    },
    Mutation {
        name: "linkPayment",
        kind: Kind::PaymentLink,
        entity: "PaymentLink",
        doc: "Links a transaction that paid an agent, or failed to, by who paid, or by the agent's owner or its wallet.",
    },
];

/// The type, with a field for each way.
pub(super) fn mutations() -> Object {
    let object = Object::new("Mutation").description(
        "Signed documents that are handed in. A document that came before is answered with what it made, as that is now, so \
         that nobody has to know whether a try arrived.",
    );
    MUTATIONS.iter().fold(object, |object, mutation| object.field(field(mutation)))
}

fn field(mutation: &'static Mutation) -> Field {
    let entity = entity::named(mutation.entity).expect("mutations answer with entities");
    let field = Field::new(mutation.name, TypeRef::named_nn(mutation.entity), move |ctx| {
        FieldFuture::new(async move { hand_in(&ctx, mutation.kind, entity).await })
    });
    let doc = format!("{} The document is of the kind {}.", mutation.doc, mutation.kind.name());
    with_submission(field.description(doc))
}

/// The arguments of a document with its signature.
pub(super) fn with_submission(field: Field) -> Field {
    field
        .argument(described("document", TypeRef::named_nn(TypeRef::STRING), "The document, as JSON."))
        .argument(described(
            "signer",
            TypeRef::named_nn(TypeRef::STRING),
            "Who signed it: `eip155:chainId:0x…` (CAIP-10), on the document's chain.",
        ))
        .argument(described(
            "signature",
            TypeRef::named_nn("Bytes"),
            "What they signed it with: 65 bytes of a key, or what their wallet takes (ERC-1271, ERC-6492).",
        ))
}

/// Adds the types.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let kinds = Enum::new("DocumentKind").description("What kind of signed document it is.");
    let kinds =
        Kind::ALL.iter().fold(kinds, |kinds, kind| kinds.item(EnumItem::new(kind.name()).description(kind.doc())));
    builder.register(kinds).register(mutations())
}

/// The submitter of this node.
pub(super) fn submitter<'a>(ctx: &'a ResolverContext<'_>) -> async_graphql::Result<&'a Arc<Submitter>> {
    ctx.data::<Arc<Submitter>>().map_err(|_| error(Code::Unavailable, "this node takes no documents"))
}

/// A submission's arguments.
pub(super) struct Given {
    pub(super) kind: Kind,
    document: String,
    signer: String,
    signature: String,
}

impl Given {
    pub(super) fn read(kind: Kind, arguments: &Arguments) -> Self {
        let text = |name| arguments.text(name).unwrap_or_default();
        Self { kind, document: text("document"), signer: text("signer"), signature: text("signature") }
    }

    pub(super) fn submission(&self) -> Submission<'_> {
        let Self { kind, document, signer, signature } = self;
        Submission { kind: *kind, document, signer, signature }
    }
}

async fn hand_in(
    ctx: &ResolverContext<'_>,
    kind: Kind,
    entity: &'static Entity,
) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let selection = selection::of(entity, &[ctx.field()])?;
    let given = Given::read(kind, &Arguments::of(&ctx.args));
    session.check_chain(&given.signer)?;
    let receipt = take(ctx, &given).await?;
    let chain_id = i64::try_from(receipt.chain_id).unwrap_or_default();
    let snapshot = session.after(chain_id, receipt.seq).await?;
    let scope = snapshot.scope(&When { chain_id: Some(chain_id), ..When::default() }).await.map_err(from_query)?;
    let id = match receipt.about {
        About::Digest(digest) => format!("{chain_id}:{digest}"),
        About::Agent(registry, agent_id) => snapshot.agent_id(chain_id, registry, &agent_id.to_string()),
    };
    let record = snapshot.one(&scope, &id, &selection).await.map_err(from_query)?;
    snapshot.close().await;
    let record =
        record.ok_or_else(|| error(Code::Unavailable, "the document is kept, and cannot be read yet; ask again"))?;
    Ok(hand_out(Tree::of(entity, &[ctx.field()]).one(&record)?))
}

/// Hands a document in: it is counted once its signature is found good, so that nobody uses up another's limit.
async fn take(ctx: &ResolverContext<'_>, given: &Given) -> async_graphql::Result<Receipt> {
    let (submitter, refused) = (submitter(ctx)?, |refusal: Refusal| from_refusal(&refusal));
    let sender = ctx.data::<Arc<Caller>>()?.sender();
    let checked = submitter.check(given.submission(), sender).await.map_err(refused)?;
    if let Err(limited) = admit_signer(ctx.ctx, checked.signer(), counted_as(given.kind)).await {
        submitter.turn_away(checked, limited.message.clone()).await.map_err(refused)?;
        return Err(limited);
    }
    submitter.take(checked).await.map_err(refused)
}

/// The limit that documents of a kind are counted against.
fn counted_as(kind: Kind) -> Signed {
    match kind {
        Kind::Feedback | Kind::FeedbackRevision | Kind::FeedbackRevocation => Signed::Feedback,
        Kind::AgentCard => Signed::Registration,
        Kind::PaymentLink => Signed::PaymentLink,
        _ => Signed::Other,
    }
}

/// A kind by its name in the API.
pub(super) fn kind(arguments: &Arguments) -> async_graphql::Result<Kind> {
    let name = arguments.text("kind").unwrap_or_default();
    Kind::named(&name).ok_or_else(|| error(Code::BadInput, "`kind` must be a kind of document"))
}

/// Bytes, for types that are no entities.
pub(super) fn bytes(bytes: &[u8]) -> Value {
    crate::api::scalar::hex(bytes)
}
