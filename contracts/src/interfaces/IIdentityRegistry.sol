// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The identity registry of ERC-8004, January 2026 generation
/// @notice An ERC-721 whose tokens are agents. Signatures of functions and events are those of the deployed registries.
interface IIdentityRegistry {
    /// @notice One metadata entry, as `register` takes them. Key and value are arbitrary bytes.
    struct MetadataEntry {
        string metadataKey;
        bytes metadataValue;
    }

    /// @notice An agent was minted. The owner follows ERC-721 `Transfer`, not this event.
    event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
    /// @notice A metadata entry was written; an empty value means that it was removed.
    /// The reserved key `agentWallet` carries 20 raw bytes, or none after a transfer or an unset.
    event MetadataSet(
        uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, bytes metadataValue
    );
    /// @notice The URI of the agent's registration file was replaced.
    event URIUpdated(uint256 indexed agentId, string newURI, address indexed updatedBy);

    /// @notice The caller is neither the agent's owner nor approved by it.
    error NotAgentOperator(address caller, uint256 agentId);
    /// @notice `agentWallet` can only be written through `setAgentWallet` and `unsetAgentWallet`.
    error ReservedMetadataKey();
    /// @notice The agent would have more metadata keys than `MAX_METADATA_KEYS`.
    error TooManyMetadataKeys(uint256 agentId, uint256 limit);
    /// @notice A metadata value is longer than `MAX_METADATA_VALUE_BYTES`.
    error MetadataValueTooLong(uint256 length, uint256 limit);
    /// @notice The zero address cannot be an agent's wallet.
    error InvalidWallet();
    /// @notice The deadline of the wallet's consent has passed.
    error DeadlinePassed(uint256 deadline);
    /// @notice The deadline lies further ahead than `MAX_DEADLINE_DELAY_SECONDS` allow.
    error DeadlineTooFar(uint256 deadline, uint256 latest);
    /// @notice The wallet's consent is not signed by the wallet (neither ECDSA nor ERC-1271).
    error InvalidWalletSignature(address wallet);

    /// @notice Names the token and makes the caller the registry's owner. Once.
    function initialize() external;
    /// @notice Mints an agent without a URI to the caller. Ids are dense, from 0.
    function register() external returns (uint256 agentId);
    /// @notice Mints an agent with a URI to the caller.
    function register(string memory agentURI) external returns (uint256 agentId);
    /// @notice Mints an agent with a URI and metadata to the caller.
    function register(string memory agentURI, MetadataEntry[] memory metadata) external returns (uint256 agentId);

    /// @notice Writes a metadata entry; an empty value removes it. Only the owner or an operator.
    function setMetadata(uint256 agentId, string memory metadataKey, bytes memory metadataValue) external;
    /// @notice Replaces the URI of the registration file. Only the owner or an operator.
    function setAgentURI(uint256 agentId, string calldata newURI) external;
    /// @notice Names the agent's wallet. Only the owner or an operator, with the wallet's EIP-712 consent
    /// (`AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)`; ERC-1271 too).
    /// @param deadline Unix seconds, at most five minutes ahead.
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature) external;
    /// @notice Removes the agent's wallet. Only the owner or an operator.
    function unsetAgentWallet(uint256 agentId) external;

    /// @notice The value under a key, empty where there is none. The key `agentWallet` gives the wallet's 20 bytes.
    function getMetadata(uint256 agentId, string memory metadataKey) external view returns (bytes memory);
    /// @notice The agent's wallet, or the zero address.
    function getAgentWallet(uint256 agentId) external view returns (address);
    /// @notice Whether an address is the agent's owner or approved by it; reverts for an agent that does not exist.
    function isAuthorizedOrOwner(address spender, uint256 agentId) external view returns (bool);
    /// @notice How many agents were ever registered: the next id.
    function agentCount() external view returns (uint256);
    /// @notice How many metadata keys of the agent hold a value, `agentWallet` not counted.
    function metadataKeyCount(uint256 agentId) external view returns (uint256);
    /// @notice The generation of the interface, `2.0.0`.
    function getVersion() external pure returns (string memory);

    /// @notice The most metadata keys an agent may have, `agentWallet` not counted.
    function MAX_METADATA_KEYS() external view returns (uint256);
    /// @notice The longest metadata value, in bytes.
    function MAX_METADATA_VALUE_BYTES() external view returns (uint256);
    /// @notice The longest URI, in bytes.
    function MAX_URI_BYTES() external view returns (uint256);
    /// @notice How far ahead, in seconds, the deadline of a wallet's consent may lie.
    function MAX_DEADLINE_DELAY_SECONDS() external view returns (uint256);
}
