//! Payments of a transaction: what it moved to somebody, or would have moved had it not failed.
//!
//! Of the chain's own coin only what the transaction itself moves is seen: what a contract passes on leaves no log. Of a token
//! (ERC-20) every transfer leaves one. What a failed transaction would have paid is read from what it called the token with.

use alloy::primitives::{Address, B256, U256, b256};
use alloy::sol_types::SolInterface;

use super::{Log, Transaction};

/// `Transfer(address indexed from, address indexed to, uint256 value)` (ERC-20).
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// `AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)` (EIP-3009).
const AUTHORIZATION_USED: B256 = b256!("98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5");

/// What pays somebody when a token is called with it: ERC-20, and EIP-3009 with signatures in parts and whole.
mod calls {
    alloy::sol! {
        interface Token {
            function transfer(address to, uint256 value);
            function transferFrom(address from, address to, uint256 value);
            function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter,
                uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s);
            function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter,
                uint256 validBefore, bytes32 nonce, bytes signature);
            function receiveWithAuthorization(address from, address to, uint256 value, uint256 validAfter,
                uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s);
            function receiveWithAuthorization(address from, address to, uint256 value, uint256 validAfter,
                uint256 validBefore, bytes32 nonce, bytes signature);
        }
    }
}

/// How something was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By the transaction's own value.
    Coin,
    /// By a transfer of a token.
    Transfer,
    /// By a transfer that the payer authorised, with this nonce, and somebody else sent (EIP-3009, as x402 does it).
    Authorization(B256),
}

impl Means {
    /// Its name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Coin => "COIN",
            Self::Transfer => "TRANSFER",
            Self::Authorization(_) => "AUTHORIZATION",
        }
    }
}

/// A payment that a transaction made, or would have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Who paid. Of a failed one whoever sent the transaction: what it was called with proves nothing of anybody else.
    pub payer: Address,
    /// How.
    pub means: Means,
    /// The place in the block of the log that tells it; nothing of a coin, and where it failed.
    pub log_index: Option<u32>,
}

/// The payments of exactly so much of a token (the zero address: of the chain's own coin) to somebody, in their order.
#[must_use]
pub fn payments(transaction: &Transaction, token: Address, recipient: Address, amount: U256) -> Vec<Payment> {
    let by_sender = |means| Payment { payer: transaction.from, means, log_index: None };
    if token.is_zero() {
        let pays = transaction.to == Some(recipient) && transaction.value == amount;
        return pays.then(|| by_sender(Means::Coin)).into_iter().collect();
    }
    if transaction.succeeded {
        return transferred(&transaction.logs, token, recipient, amount);
    }
    let called = (transaction.to == Some(token)).then(|| called(&transaction.input)).flatten();
    called
        .filter(|(to, value, _)| (*to, *value) == (recipient, amount))
        .map(|call| by_sender(call.2))
        .into_iter()
        .collect()
}

fn transferred(logs: &[Log], token: Address, recipient: Address, amount: U256) -> Vec<Payment> {
    let value = amount.to_be_bytes::<32>();
    let pays = |log: &Log| match &log.topics[..] {
        [TRANSFER, _, to] => log.address == token && Address::from_word(*to) == recipient && log.data[..] == value,
        _ => false,
    };
    let payment = |(place, log): (usize, &Log)| {
        let payer = Address::from_word(log.topics[1]);
        // A token says that an authorisation is used, and then, at once, what it moves by it.
        let before = place.checked_sub(1).map(|before| &logs[before]);
        let before = before.filter(|before| before.address == token && before.log_index + 1 == log.log_index);
        let means = match before.map(|before| &before.topics[..]) {
            Some([AUTHORIZATION_USED, who, nonce]) if Address::from_word(*who) == payer => Means::Authorization(*nonce),
            _ => Means::Transfer,
        };
        Payment { payer, means, log_index: Some(log.log_index) }
    };
    logs.iter().enumerate().filter(|(_, log)| pays(log)).map(payment).collect()
}

/// To whom, how much, and how a call of a token would have paid.
fn called(input: &[u8]) -> Option<(Address, U256, Means)> {
    use self::calls::Token::TokenCalls as Call;
    Some(match Call::abi_decode(input).ok()? {
        Call::transfer(call) => (call.to, call.value, Means::Transfer),
        Call::transferFrom(call) => (call.to, call.value, Means::Transfer),
        Call::transferWithAuthorization_0(call) => (call.to, call.value, Means::Authorization(call.nonce)),
        Call::transferWithAuthorization_1(call) => (call.to, call.value, Means::Authorization(call.nonce)),
        Call::receiveWithAuthorization_0(call) => (call.to, call.value, Means::Authorization(call.nonce)),
        Call::receiveWithAuthorization_1(call) => (call.to, call.value, Means::Authorization(call.nonce)),
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, Bytes, U256, hex};

    use super::{AUTHORIZATION_USED, Means, Payment, TRANSFER, payments};
    use crate::block::{BlockRef, Log, Transaction};

    const TOKEN: Address = Address::repeat_byte(0x70);
    const PAYER: Address = Address::repeat_byte(0xa1);
    const SENDER: Address = Address::repeat_byte(0xa2);
    const AGENT: Address = Address::repeat_byte(0xa3);
    const NONCE: B256 = B256::repeat_byte(0x99);

    fn log(address: Address, topics: Vec<B256>, amount: Option<u64>, log_index: u32) -> Log {
        let data = amount.map_or_else(Bytes::new, |amount| U256::from(amount).to_be_bytes_vec().into());
        let block = BlockRef { number: 1, hash: B256::ZERO };
        Log { address, topics, data, block, transaction_hash: B256::ZERO, transaction_index: 0, log_index }
    }

    fn transfer(token: Address, from: Address, amount: u64, log_index: u32) -> Log {
        log(token, vec![TRANSFER, from.into_word(), AGENT.into_word()], Some(amount), log_index)
    }

    fn authorization(token: Address, by: Address, log_index: u32) -> Log {
        log(token, vec![AUTHORIZATION_USED, by.into_word(), NONCE], None, log_index)
    }

    fn transaction(to: Address, value: u64, input: Vec<u8>, logs: Vec<Log>, succeeded: bool) -> Transaction {
        Transaction {
            hash: B256::ZERO,
            block: BlockRef { number: 1, hash: B256::ZERO },
            timestamp: 0,
            from: SENDER,
            to: Some(to),
            value: U256::from(value),
            input: input.into(),
            succeeded,
            logs,
        }
    }

    fn by_transfer(payer: Address, log_index: u32) -> Payment {
        Payment { payer, means: Means::Transfer, log_index: Some(log_index) }
    }

    #[test]
    fn a_transfer_is_of_the_token_to_the_agent_and_of_the_amount() {
        let other = Address::repeat_byte(1);
        let to_other = log(TOKEN, vec![TRANSFER, PAYER.into_word(), other.into_word()], Some(5), 4);
        let of_collection =
            log(TOKEN, vec![TRANSFER, PAYER.into_word(), AGENT.into_word(), B256::with_last_byte(5)], None, 5);
        let logs = vec![
            transfer(TOKEN, PAYER, 5, 0),
            transfer(other, PAYER, 5, 1),
            transfer(TOKEN, PAYER, 6, 2),
            transfer(TOKEN, SENDER, 5, 3),
            to_other,
            of_collection,
        ];
        let found = payments(&transaction(TOKEN, 0, vec![], logs, true), TOKEN, AGENT, U256::from(5));
        assert_eq!(found, [by_transfer(PAYER, 0), by_transfer(SENDER, 3)]);
    }

    #[test]
    fn an_authorisation_is_that_of_the_transfer_right_behind_it() {
        let other = Address::repeat_byte(1);
        let logs = vec![
            transfer(TOKEN, PAYER, 5, 0),
            authorization(TOKEN, PAYER, 1),
            transfer(TOKEN, PAYER, 5, 2),
            transfer(TOKEN, PAYER, 5, 3),
            // Of another payer, of another token, and not right before.
            authorization(TOKEN, other, 4),
            transfer(TOKEN, PAYER, 5, 5),
            authorization(other, PAYER, 6),
            transfer(TOKEN, PAYER, 5, 7),
            authorization(TOKEN, PAYER, 8),
            transfer(TOKEN, PAYER, 5, 10),
        ];
        let found = payments(&transaction(other, 0, vec![], logs, true), TOKEN, AGENT, U256::from(5));
        let by_leave = Payment { payer: PAYER, means: Means::Authorization(NONCE), log_index: Some(2) };
        let expected = [0, 2, 3, 5, 7, 10].map(|place| if place == 2 { by_leave } else { by_transfer(PAYER, place) });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_coin_is_paid_by_the_transaction_itself() {
        let (coin, five) = (Address::ZERO, U256::from(5));
        let by_sender = Payment { payer: SENDER, means: Means::Coin, log_index: None };
        for succeeded in [true, false] {
            let paid = transaction(AGENT, 5, vec![], vec![], succeeded);
            assert_eq!(payments(&paid, coin, AGENT, five), [by_sender]);
            assert_eq!(payments(&paid, coin, PAYER, five), []);
            assert_eq!(payments(&paid, coin, AGENT, U256::from(6)), []);
            assert_eq!(payments(&paid, TOKEN, AGENT, five), []);
        }
    }

    #[test]
    fn what_failed_is_what_the_token_was_called_with() {
        let word = |value: &[u8]| B256::left_padding_from(value).to_vec();
        let (to, five, nonce) = (word(AGENT.as_slice()), word(&[5]), NONCE.to_vec());
        let call = |selector: [u8; 4], words: &[&[u8]]| [&selector[..], &words.concat()].concat();
        let from = word(PAYER.as_slice());
        let parts = [&word(&[27])[..], &nonce, &nonce].concat();
        let whole = [&word(&[0xe0])[..], &word(&[65]), &[1; 96]].concat();
        let zero = word(&[]);
        let by = |selector, signature: &[u8]| call(selector, &[&from, &to, &five, &zero, &five, &nonce, signature]);
        let leave = Means::Authorization(NONCE);
        for (input, means) in [
            (call(hex!("a9059cbb"), &[&to, &five]), Means::Transfer),
            (call(hex!("23b872dd"), &[&from, &to, &five]), Means::Transfer),
            (by(hex!("e3ee160e"), &parts), leave),
            (by(hex!("ef55bec6"), &parts), leave),
            (by(hex!("cf092995"), &whole), leave),
            (by(hex!("88b7ab63"), &whole), leave),
        ] {
            let failed = transaction(TOKEN, 0, input.clone(), vec![], false);
            // Nothing proves who signed what did not take effect.
            let expected = Payment { payer: SENDER, means, log_index: None };
            assert_eq!(payments(&failed, TOKEN, AGENT, U256::from(5)), [expected], "{}", hex::encode(&input[..4]));
            assert_eq!(payments(&failed, TOKEN, PAYER, U256::from(5)), []);
            assert_eq!(payments(&failed, TOKEN, AGENT, U256::from(6)), []);
            let elsewhere = transaction(PAYER, 0, input.clone(), vec![], false);
            assert_eq!(payments(&elsewhere, TOKEN, AGENT, U256::from(5)), []);
            // What succeeded and left no log moved nothing.
            let silent = transaction(TOKEN, 0, input, vec![], true);
            assert_eq!(payments(&silent, TOKEN, AGENT, U256::from(5)), []);
        }
        let approve = transaction(TOKEN, 0, call(hex!("095ea7b3"), &[&to, &five]), vec![], false);
        assert_eq!(payments(&approve, TOKEN, AGENT, U256::from(5)), []);
    }
}
