//! Validations by documents: requests of agents, and answers of the validators that they name.

use super::{Acceptance, Done, Handed};
use crate::document::{Reason, ValidationRequest, ValidationResponse};
use crate::store::sql::{self, signed};

impl Acceptance<'_> {
    /// A request to a validator.
    pub(super) async fn request(&self, handed: &Handed, request: &ValidationRequest) -> Done {
        let agent = match self.spoken_for(&request.agent_registry, &request.agent_id, handed.signer).await? {
            Ok(agent) => agent,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if agent.is_spoken_for_by(request.validator) {
            let message = "`validator` must be somebody else than the agent's owner and its agentWallet";
            return Ok(Err(Reason::Forbidden.because(message)));
        }
        self.sql
            .execute(
                "INSERT INTO offchain_validation (chain_id, digest, deployment, agent_id, requester, validator, data_hash, \
                     data_uri, expires_at, received_at) \
                 VALUES ($1, $2, $3, $4::text::numeric, $5, $6, $7, $8, $9, extract(epoch FROM now())::bigint)",
                &[
                    &handed.digest.as_slice(),
                    &agent.deployment,
                    &agent.id,
                    &handed.signer.as_slice(),
                    &request.validator.as_slice(),
                    &request.data_hash.as_slice(),
                    &request.data_uri,
                    &signed(request.expires_at.as_u64()),
                ],
            )
            .await?;
        Ok(Ok(()))
    }

    /// An answer of the validator that was asked.
    pub(super) async fn respond(&self, handed: &Handed, response: &ValidationResponse) -> Done {
        let select = "SELECT validator, answers, expires_at < extract(epoch FROM now()) AS is_over \
                      FROM offchain_validation WHERE chain_id = $1 AND digest = $2";
        let rows = self.sql.query(select, &[&response.request.as_slice()]).await?;
        let Some(row) = rows.first() else {
            let message =
                format!("`request` must be the digest of a request that was handed in; {} is none", response.request);
            return Ok(Err(Reason::NotFound.because(message)));
        };
        if sql::address(row, "validator")? != handed.signer {
            return Ok(Err(Reason::Forbidden.because("only the validator that the request names can answer it")));
        }
        if sql::column(row, "is_over")? {
            return Ok(Err(
                Reason::Expired.because("the request could be answered until its `expiresAt`, which is over")
            ));
        }
        let ordinal = sql::column::<i32>(row, "answers")? + 1;
        self.sql
            .execute(
                "WITH counted AS (UPDATE offchain_validation SET answers = $3 WHERE chain_id = $1 AND digest = $2 \
                     RETURNING chain_id) \
                 INSERT INTO offchain_validation_response (chain_id, request, ordinal, digest, response, response_uri, \
                     response_hash, tag, received_at) \
                 SELECT chain_id, $2, $3, $4, $5, $6, $7, $8, extract(epoch FROM now())::bigint FROM counted",
                &[
                    &response.request.as_slice(),
                    &ordinal,
                    &handed.digest.as_slice(),
                    &i16::from(response.response),
                    &response.response_uri,
                    &response.response_hash.as_slice(),
                    &response.tag,
                ],
            )
            .await?;
        Ok(Ok(()))
    }
}
