//! Events that any of the watched contracts may emit about itself: upgrades, ownership, roles, pauses.

use alloy::primitives::{Address, B256};

super::events! {
    /// An event about the contract itself.
    GovernanceEvent {
        /// The proxy runs another implementation (ERC-1967).
        Upgraded = "Upgraded(address)",
            "0xbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b" {
            /// The new implementation.
            implementation: Address = topic,
        }
        /// The contract was initialized to a version (OpenZeppelin Initializable).
        Initialized = "Initialized(uint64)",
            "0xc7f505b2f371ae2175ee4913f4499e1f2633a7b5936321eed1cdaeb6115181d2" {
            /// The version.
            version: u64 = data,
        }
        /// The contract has another owner (ERC-173).
        OwnershipTransferred = "OwnershipTransferred(address,address)",
            "0x8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0" {
            /// The owner before.
            previous_owner: Address = topic,
            /// The owner after.
            new_owner: Address = topic,
        }
        /// The domain for signatures changed (ERC-5267).
        EIP712DomainChanged = "EIP712DomainChanged()",
            "0x0a6387c9ea3628b88a633bb4f3b151770f70085117a15f9bf3787cda53f13d31" {
        }
        /// The contract was paused.
        Paused = "Paused(address)",
            "0x62e78cea01bee320cd4e420270b5ea74000d11b0c9f74754ebdbfc544b05a258" {
            /// By whom.
            account: Address = data,
        }
        /// The contract works again.
        Unpaused = "Unpaused(address)",
            "0x5db9ee0a495bf2e6ff9c91a7834c1ba4fdd244a5e8aa4e537bd38aeae4b073aa" {
            /// By whom.
            account: Address = data,
        }
        /// An account got a role (OpenZeppelin AccessControl).
        RoleGranted = "RoleGranted(bytes32,address,address)",
            "0x2f8788117e7eff1d82e926ec794901d17c78024a50270940304540a733656f0d" {
            /// The role.
            role: B256 = topic,
            /// Who got it.
            account: Address = topic,
            /// Who gave it.
            sender: Address = topic,
        }
        /// An account lost a role.
        RoleRevoked = "RoleRevoked(bytes32,address,address)",
            "0xf6391f5c32d9c69d2a47ea670b442974b53935d1edc7fd64eb21e047a839171b" {
            /// The role.
            role: B256 = topic,
            /// Who lost it.
            account: Address = topic,
            /// Who took it.
            sender: Address = topic,
        }
        /// Another role administers a role.
        RoleAdminChanged = "RoleAdminChanged(bytes32,bytes32,bytes32)",
            "0xbd79b86ffe0ab8e8776151514217cd7cacd52c909f66475c3af44e129f0b00ff" {
            /// The role.
            role: B256 = topic,
            /// Its administrators' role before.
            previous_admin_role: B256 = topic,
            /// Its administrators' role after.
            new_admin_role: B256 = topic,
        }
    }
}
