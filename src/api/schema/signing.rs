//! `signingPayload` and `verifySignature`: what is signed of a document, and whether somebody signed it.

use async_graphql::Value;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};

use super::mutation::{Given, bytes, kind, submitter, with_submission};
use super::{described, told};
use crate::api::argument::Arguments;
use crate::api::error::{Code, error, from_refusal};
use crate::document::Reason;
use crate::sign::{Payload, Shown};
use crate::submit::Method;

/// Whether somebody signed a document.
struct Checked {
    method: Option<Method>,
    reason: Option<String>,
}

/// Adds the roots.
pub(super) fn add_roots(query: Object) -> Object {
    let payload = Field::new("signingPayload", TypeRef::named_nn("SigningPayload"), |ctx| {
        FieldFuture::new(async move { payload(&ctx) })
    })
    .description("What a wallet has to sign of a document: exactly what is checked when it is handed in.")
    .argument(kind_argument())
    .argument(described("document", TypeRef::named_nn(TypeRef::STRING), "The document, as JSON."))
    .argument(described(
        "chainId",
        TypeRef::named(TypeRef::INT),
        "The signer's chain, for documents that name none; with one network it is that.",
    ));
    let verify = Field::new("verifySignature", TypeRef::named_nn("SignatureCheck"), |ctx| {
        FieldFuture::new(async move { verify(&ctx).await })
    })
    .description("Whether somebody signed a document; nothing is kept.")
    .argument(kind_argument());
    query.field(payload).field(with_submission(verify))
}

fn kind_argument() -> async_graphql::dynamic::InputValue {
    described("kind", TypeRef::named_nn("DocumentKind"), "What kind of document it is.")
}

/// Adds the types.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    builder.register(payload_type()).register(check_type())
}

fn payload_type() -> Object {
    Object::new("SigningPayload")
        .description("What is signed of a document.")
        .field(told("digest", TypeRef::named_nn("Bytes"), "The document's name, by which others refer to it.", |payload: &Payload| {
            Some(bytes(payload.digest.as_slice()))
        }))
        .field(told("hash", TypeRef::named_nn("Bytes"), "The 32 bytes that the key signs.", |payload: &Payload| {
            Some(bytes(payload.hash.as_slice()))
        }))
        .field(told(
            "typedData",
            TypeRef::named(TypeRef::STRING),
            "For `eth_signTypedData_v4` (EIP-712), as JSON; null for documents that are signed as text.",
            |payload: &Payload| match &payload.shown {
                Shown::Typed(data) => Some(Value::from(data.to_string())),
                Shown::Text(_) => None,
            },
        ))
        .field(told(
            "text",
            TypeRef::named(TypeRef::STRING),
            "For `personal_sign` (EIP-191): the document in its canonical form (RFC 8785), in which it must be handed in; null for \
             typed data.",
            |payload: &Payload| match &payload.shown {
                Shown::Typed(_) => None,
                Shown::Text(text) => Some(Value::from(text.as_str())),
            },
        ))
}

fn check_type() -> Object {
    Object::new("SignatureCheck")
        .description("Whether somebody signed a document.")
        .field(told("valid", TypeRef::named_nn(TypeRef::BOOLEAN), "Whether they did.", |checked: &Checked| {
            Some(Value::from(checked.method.is_some()))
        }))
        .field(told(
            "method",
            TypeRef::named(TypeRef::STRING),
            "How that is known: `KEY`, or `CODE` where the account's code says so (ERC-1271, EIP-7702, ERC-6492).",
            |checked: &Checked| {
                Some(Value::from(match checked.method? {
                    Method::Key => "KEY",
                    Method::Code { .. } => "CODE",
                }))
            },
        ))
        .field(told(
            "block",
            TypeRef::named("BigInt"),
            "The block as of which the code said so.",
            |checked: &Checked| match checked.method? {
                Method::Key => None,
                Method::Code { block } => Some(Value::from(block.to_string())),
            },
        ))
        .field(told("reason", TypeRef::named(TypeRef::STRING), "Why they did not, in words.", |checked: &Checked| {
            checked.reason.as_deref().map(Value::from)
        }))
}

fn payload(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let arguments = Arguments::of(&ctx.args);
    let chain_id = arguments.whole("chainId").map(u64::try_from).transpose();
    let chain_id = chain_id.map_err(|_| error(Code::BadInput, "`chainId` must not be negative"))?;
    let document = arguments.text("document").unwrap_or_default();
    let payload = submitter(ctx)?.payload(kind(&arguments)?, &document, chain_id);
    Ok(Some(FieldValue::owned_any(payload.map_err(|refusal| from_refusal(&refusal))?)))
}

async fn verify(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let arguments = Arguments::of(&ctx.args);
    let given = Given::read(kind(&arguments)?, &arguments);
    let checked = match submitter(ctx)?.verify(given.submission()).await {
        Ok(method) => Checked { method: Some(method), reason: None },
        Err(refusal) if refusal.reason == Reason::InvalidSignature => {
            Checked { method: None, reason: Some(refusal.message) }
        }
        Err(refusal) => return Err(from_refusal(&refusal)),
    };
    Ok(Some(FieldValue::owned_any(checked)))
}
