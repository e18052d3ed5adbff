// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

import {AgentRegistry} from "../../src/AgentRegistry.sol";
import {AuditLog} from "../../src/AuditLog.sol";
import {CrossChainExecutor} from "../../src/CrossChainExecutor.sol";
import {Governed} from "../../src/Governed.sol";
import {IdentityRegistry} from "../../src/IdentityRegistry.sol";
import {PolicyEngine} from "../../src/PolicyEngine.sol";
import {ReputationRegistry} from "../../src/ReputationRegistry.sol";
import {ValidationRegistry} from "../../src/ValidationRegistry.sol";
import {IAgentRegistry} from "../../src/interfaces/IAgentRegistry.sol";
import {Vm} from "./Vm.sol";

/// @title All seven contracts behind their proxies, owned by ADMIN, with the limits of production
/// @notice The tests' own contract holds no role: what it may do, anybody may.
abstract contract World {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address internal constant ADMIN = address(0xAD417);
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    address internal constant CAROL = address(0xCA401);
    address internal constant MALLORY = address(0xBAD);

    bytes32 internal constant DEFAULT_ADMIN_ROLE = bytes32(0);
    bytes32 internal constant REGISTRY_ADMIN_ROLE = keccak256("REGISTRY_ADMIN_ROLE");
    bytes32 internal constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    uint256 internal constant MAX_METADATA_KEYS = 50;
    uint256 internal constant MAX_METADATA_VALUE_BYTES = 10_240;
    uint256 internal constant MAX_URI_BYTES = 512;
    uint256 internal constant MIN_FEEDBACK_INTERVAL_SECONDS = 60;
    uint256 internal constant MAX_POLICY_LIST_ITEMS = 32;
    uint256 internal constant TIMELOCK_SECONDS = 60;
    uint256 internal constant ANY_DEADLINE = type(uint256).max;
    /// @dev The first second of a day, so that tests know where its hours lie.
    uint256 internal constant START = 20_000 days;

    IdentityRegistry internal identity;
    ReputationRegistry internal reputation;
    ValidationRegistry internal validation;
    AuditLog internal auditLog;
    AgentRegistry internal agents;
    PolicyEngine internal engine;
    CrossChainExecutor internal executor;

    function setUp() public virtual {
        vm.warp(START);
        vm.startPrank(ADMIN);
        identity = IdentityRegistry(
            _proxy(
                address(new IdentityRegistry(MAX_METADATA_KEYS, MAX_METADATA_VALUE_BYTES, MAX_URI_BYTES)),
                abi.encodeCall(IdentityRegistry.initialize, ())
            )
        );
        reputation = ReputationRegistry(
            _proxy(
                address(new ReputationRegistry(MIN_FEEDBACK_INTERVAL_SECONDS, MAX_URI_BYTES)),
                abi.encodeCall(ReputationRegistry.initialize, (address(identity)))
            )
        );
        validation = ValidationRegistry(
            _proxy(
                address(new ValidationRegistry(MAX_URI_BYTES)),
                abi.encodeCall(ValidationRegistry.initialize, (address(identity)))
            )
        );
        agents = AgentRegistry(
            _proxy(
                address(new AgentRegistry(MAX_URI_BYTES, MAX_POLICY_LIST_ITEMS)),
                abi.encodeCall(AgentRegistry.initialize, ())
            )
        );
        auditLog = AuditLog(
            _proxy(address(new AuditLog(MAX_URI_BYTES)), abi.encodeCall(AuditLog.initialize, (address(agents))))
        );
        engine = PolicyEngine(
            _proxy(address(new PolicyEngine(MAX_URI_BYTES)), abi.encodeCall(PolicyEngine.initialize, (address(agents))))
        );
        executor = CrossChainExecutor(
            _proxy(
                address(new CrossChainExecutor(TIMELOCK_SECONDS, MAX_URI_BYTES)),
                abi.encodeCall(CrossChainExecutor.initialize, (address(agents), address(engine)))
            )
        );
        engine.grantRole(keccak256("EXECUTOR_ROLE"), address(executor));
        vm.stopPrank();
    }

    function _proxy(address implementation, bytes memory initializer) internal returns (address) {
        return address(new ERC1967Proxy(implementation, initializer));
    }

    function _all() internal view returns (Governed[7] memory) {
        return [Governed(identity), reputation, validation, auditLog, agents, engine, executor];
    }

    /// @dev An ERC-8004 agent of the given owner.
    function _agentOf(address owner) internal returns (uint256 agentId) {
        vm.prank(owner);
        return identity.register("ipfs://agent");
    }

    /// @dev A wallet agent whose owner is its wallet too.
    function _walletAgentOf(address owner) internal returns (bytes32 agentId) {
        return _walletAgentOf(owner, _widePolicy());
    }

    function _walletAgentOf(address owner, IAgentRegistry.Policy memory policy) internal returns (bytes32 agentId) {
        vm.prank(owner);
        return agents.registerAgent(owner, "bafyagent", policy, 0, "");
    }

    function _widePolicy() internal pure returns (IAgentRegistry.Policy memory policy) {
        policy.maxSpendPerDay = 1_000 ether;
        policy.maxTxPerDay = 1_000;
        policy.maxTxPerHour = 1_000;
        policy.maxValuePerTx = 100 ether;
        policy.riskLevel = 1;
    }

    /// @dev Feedback without texts, past the interval.
    function _rate(address client, uint256 agentId, int128 value, uint8 decimals) internal {
        _rate(client, agentId, value, decimals, "", "");
    }

    function _rate(
        address client,
        uint256 agentId,
        int128 value,
        uint8 decimals,
        string memory tag1,
        string memory tag2
    ) internal {
        vm.warp(block.timestamp + MIN_FEEDBACK_INTERVAL_SECONDS);
        vm.prank(client);
        reputation.giveFeedback(agentId, value, decimals, tag1, tag2, "", "", bytes32(0));
    }

    function _signature(uint256 privateKey, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, digest);
        return abi.encodePacked(r, s, v);
    }

    function _domain(string memory name, address contractAddress) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                block.chainid,
                contractAddress
            )
        );
    }

    function _typedDigest(bytes32 domain, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    /// @dev The wallet's consent to being named by an ERC-8004 agent.
    function _agentWalletDigest(uint256 agentId, address wallet, address owner, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        // The type hash as published, not computed: a typing error in the contract's type would show.
        bytes32 typeHash = 0x678b53cd718d595370ab070ebf48edfdcd834beac116bf23e625fc7f4d5b7d32;
        bytes32 domain = _domain("ERC8004IdentityRegistry", address(identity));
        return _typedDigest(domain, keccak256(abi.encode(typeHash, agentId, wallet, owner, deadline)));
    }

    /// @dev The wallet's consent to acting for a wallet agent.
    function _walletConsentDigest(address owner, address wallet, uint256 nonce, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash = keccak256("WalletConsent(address owner,address wallet,uint256 nonce,uint256 deadline)");
        bytes32 domain = _domain("MeikanAgentRegistry", address(agents));
        return _typedDigest(domain, keccak256(abi.encode(typeHash, owner, wallet, nonce, deadline)));
    }

    function _text(uint256 length) internal pure returns (string memory) {
        return string(new bytes(length));
    }

    function _list(address one) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = one;
    }

    function _list(address one, address two) internal pure returns (address[] memory list) {
        list = new address[](2);
        (list[0], list[1]) = (one, two);
    }
}
