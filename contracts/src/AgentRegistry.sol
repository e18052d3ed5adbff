// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";

import {Governed} from "./Governed.sol";
import {WalletSignature} from "./WalletSignature.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";

/// @title The registry of wallet agents
/// @notice A wallet has at most one agent, and only with its consent: otherwise a stranger could tie the trail of an
/// agent of its own to somebody's wallet.
contract AgentRegistry is IAgentRegistry, EIP712Upgradeable, Governed {
    using WalletSignature for bytes32;

    bytes32 private constant WALLET_CONSENT_TYPEHASH =
        keccak256("WalletConsent(address owner,address wallet,uint256 nonce,uint256 deadline)");

    /// @inheritdoc IAgentRegistry
    uint256 public immutable MAX_TEXT_BYTES;
    /// @inheritdoc IAgentRegistry
    uint256 public immutable MAX_POLICY_LIST_ITEMS;

    /// @inheritdoc IAgentRegistry
    uint256 public agentCount;
    /// @inheritdoc IAgentRegistry
    uint256 public activeAgentCount;
    /// @inheritdoc IAgentRegistry
    mapping(address wallet => bytes32) public agentOfWallet;
    /// @inheritdoc IAgentRegistry
    mapping(address wallet => uint256) public walletNonce;
    mapping(bytes32 agentId => Agent) private _agents;
    mapping(bytes32 agentId => Policy) private _policies;

    modifier onlyAgentOwner(bytes32 agentId) {
        if (msg.sender != _at(agentId).owner) revert NotAgentOwner(msg.sender, agentId);
        _;
    }

    /// @param maxTextBytes The longest CID or reason.
    /// @param maxPolicyListItems The most chains, and the most whitelisted addresses, of a policy.
    constructor(uint256 maxTextBytes, uint256 maxPolicyListItems) {
        MAX_TEXT_BYTES = maxTextBytes;
        MAX_POLICY_LIST_ITEMS = maxPolicyListItems;
    }

    /// @inheritdoc IAgentRegistry
    function initialize() external initializer {
        __EIP712_init("MeikanAgentRegistry", "1");
        __Governed_init();
    }

    /// @inheritdoc IAgentRegistry
    function registerAgent(
        address wallet,
        string calldata metadataCID,
        Policy calldata policy,
        uint256 deadline,
        bytes calldata walletSignature
    ) external whenNotPaused nonReentrant returns (bytes32 agentId) {
        agentId = keccak256(abi.encode(block.chainid, address(this), msg.sender, agentCount++));
        ++activeAgentCount;
        Agent storage agent = _agents[agentId];
        agent.owner = msg.sender;
        agent.active = true;
        _bindWallet(agentId, wallet, deadline, walletSignature);
        _writeMetadataCID(agentId, metadataCID);
        emit AgentRegistered(agentId, msg.sender, wallet, metadataCID);
        _writePolicy(agentId, policy);
    }

    /// @inheritdoc IAgentRegistry
    function setMetadataCID(bytes32 agentId, string calldata metadataCID)
        external
        whenNotPaused
        nonReentrant
        onlyAgentOwner(agentId)
    {
        _writeMetadataCID(agentId, metadataCID);
        _announceUpdate(agentId);
    }

    /// @inheritdoc IAgentRegistry
    function setWallet(bytes32 agentId, address wallet, uint256 deadline, bytes calldata walletSignature)
        external
        whenNotPaused
        nonReentrant
        onlyAgentOwner(agentId)
    {
        delete agentOfWallet[_agents[agentId].wallet];
        _bindWallet(agentId, wallet, deadline, walletSignature);
        _announceUpdate(agentId);
    }

    /// @inheritdoc IAgentRegistry
    function transferAgent(bytes32 agentId, address newOwner)
        external
        whenNotPaused
        nonReentrant
        onlyAgentOwner(agentId)
    {
        if (newOwner == address(0)) revert InvalidParty();
        _agents[agentId].owner = newOwner;
        _announceUpdate(agentId);
    }

    /// @inheritdoc IAgentRegistry
    function setPolicy(bytes32 agentId, Policy calldata policy)
        external
        whenNotPaused
        nonReentrant
        onlyAgentOwner(agentId)
    {
        _writePolicy(agentId, policy);
    }

    /// @inheritdoc IAgentRegistry
    /// @dev An admin may suspend an agent that its owner has switched off: else an owner could forestall it.
    function deactivateAgent(bytes32 agentId, string calldata reason) external whenNotPaused nonReentrant {
        Agent storage agent = _at(agentId);
        bool suspends = _actsAsAdmin(agentId);
        if (suspends ? agent.suspended : !agent.active) revert AgentNotActive(agentId);
        _requireAtMost(reason, MAX_TEXT_BYTES);
        if (agent.active) --activeAgentCount;
        agent.active = false;
        agent.suspended = suspends;
        emit AgentDeactivated(agentId, msg.sender, reason);
    }

    /// @inheritdoc IAgentRegistry
    function reactivateAgent(bytes32 agentId, string calldata reason) external whenNotPaused nonReentrant {
        Agent storage agent = _at(agentId);
        bool asAdmin = _actsAsAdmin(agentId);
        if (agent.active) revert AgentAlreadyActive(agentId);
        if (agent.suspended && !asAdmin) revert AgentIsSuspended(agentId);
        _requireAtMost(reason, MAX_TEXT_BYTES);
        ++activeAgentCount;
        agent.active = true;
        agent.suspended = false;
        emit AgentReactivated(agentId, msg.sender, reason);
    }

    /// @inheritdoc IAgentRegistry
    function getAgent(bytes32 agentId) external view returns (Agent memory) {
        return _at(agentId);
    }

    /// @inheritdoc IAgentRegistry
    function getPolicy(bytes32 agentId) external view returns (Policy memory) {
        _at(agentId);
        return _policies[agentId];
    }

    /// @inheritdoc IAgentRegistry
    function exists(bytes32 agentId) external view returns (bool) {
        return _agents[agentId].owner != address(0);
    }

    /// @inheritdoc IAgentRegistry
    function isActive(bytes32 agentId) external view returns (bool) {
        return _agents[agentId].active;
    }

    /// @inheritdoc IAgentRegistry
    function isOperator(bytes32 agentId, address account) external view returns (bool) {
        Agent storage agent = _agents[agentId];
        return account != address(0) && (account == agent.owner || account == agent.wallet);
    }

    function _at(bytes32 agentId) private view returns (Agent storage agent) {
        agent = _agents[agentId];
        if (agent.owner == address(0)) revert AgentNotFound(agentId);
    }

    /// @dev False where the owner acts, also one who is a registry admin, unless it lifts a suspension.
    function _actsAsAdmin(bytes32 agentId) private view returns (bool) {
        bool isAdmin = hasRole(REGISTRY_ADMIN_ROLE, msg.sender);
        if (msg.sender == _agents[agentId].owner) return isAdmin && _agents[agentId].suspended;
        if (!isAdmin) revert NotAgentOwner(msg.sender, agentId);
        return true;
    }

    function _bindWallet(bytes32 agentId, address wallet, uint256 deadline, bytes calldata signature) private {
        if (wallet == address(0)) revert InvalidParty();
        if (agentOfWallet[wallet] != bytes32(0)) revert WalletTaken(wallet, agentOfWallet[wallet]);
        if (wallet != msg.sender) _requireConsent(wallet, deadline, signature);
        agentOfWallet[wallet] = agentId;
        _agents[agentId].wallet = wallet;
    }

    function _requireConsent(address wallet, uint256 deadline, bytes calldata signature) private {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline);
        bytes32 consent =
            keccak256(abi.encode(WALLET_CONSENT_TYPEHASH, msg.sender, wallet, walletNonce[wallet]++, deadline));
        if (!_hashTypedDataV4(consent).isSignedBy(wallet, signature)) revert InvalidWalletSignature(wallet);
    }

    function _writeMetadataCID(bytes32 agentId, string calldata metadataCID) private {
        _requireAtMost(metadataCID, MAX_TEXT_BYTES);
        _agents[agentId].metadataCID = metadataCID;
    }

    function _writePolicy(bytes32 agentId, Policy calldata policy) private {
        _requireListFits(policy.allowedChains.length);
        _requireListFits(policy.whitelist.length);
        _policies[agentId] = policy;
        emit PolicyUpdated(agentId, policy);
    }

    function _requireListFits(uint256 length) private view {
        if (length > MAX_POLICY_LIST_ITEMS) revert PolicyListTooLong(length, MAX_POLICY_LIST_ITEMS);
    }

    function _announceUpdate(bytes32 agentId) private {
        Agent storage agent = _agents[agentId];
        emit AgentUpdated(agentId, agent.owner, agent.wallet, agent.metadataCID, msg.sender);
    }
}
