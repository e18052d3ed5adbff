// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControlUpgradeable} from "@openzeppelin/contracts-upgradeable/access/AccessControlUpgradeable.sol";
import {ERC721Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC721/ERC721Upgradeable.sol";
import {
    ERC721URIStorageUpgradeable
} from "@openzeppelin/contracts-upgradeable/token/ERC721/extensions/ERC721URIStorageUpgradeable.sol";
import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {Governed} from "./Governed.sol";
import {WalletSignature} from "./WalletSignature.sol";
import {IIdentityRegistry} from "./interfaces/IIdentityRegistry.sol";

/// @title The identity registry of ERC-8004, hardened
/// @notice Events tell exactly what the storage holds, at any moment outside a call: a mint lets its receiver act
/// before `Registered` is emitted, and while it does, nothing of any agent can be changed.
contract IdentityRegistry is IIdentityRegistry, ERC721URIStorageUpgradeable, EIP712Upgradeable, Governed {
    using WalletSignature for bytes32;

    /// @inheritdoc IIdentityRegistry
    uint256 public constant MAX_DEADLINE_DELAY_SECONDS = 5 minutes;
    /// @inheritdoc IIdentityRegistry
    uint256 public immutable MAX_METADATA_KEYS;
    /// @inheritdoc IIdentityRegistry
    uint256 public immutable MAX_METADATA_VALUE_BYTES;
    /// @inheritdoc IIdentityRegistry
    uint256 public immutable MAX_URI_BYTES;

    string private constant WALLET_KEY = "agentWallet";
    bytes32 private constant WALLET_KEY_HASH = keccak256(bytes(WALLET_KEY));
    bytes32 private constant AGENT_WALLET_SET_TYPEHASH =
        keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)");

    /// @inheritdoc IIdentityRegistry
    uint256 public agentCount;
    /// @inheritdoc IIdentityRegistry
    mapping(uint256 agentId => uint256) public metadataKeyCount;
    mapping(uint256 agentId => mapping(string key => bytes)) private _metadata;
    mapping(uint256 agentId => address) private _wallets;

    modifier onlyAgentOperator(uint256 agentId) {
        if (!_isAuthorized(ownerOf(agentId), msg.sender, agentId)) revert NotAgentOperator(msg.sender, agentId);
        _;
    }

    /// @param maxMetadataKeys The most metadata keys of an agent, the wallet not counted.
    /// @param maxMetadataValueBytes The longest metadata value.
    /// @param maxUriBytes The longest URI.
    constructor(uint256 maxMetadataKeys, uint256 maxMetadataValueBytes, uint256 maxUriBytes) {
        MAX_METADATA_KEYS = maxMetadataKeys;
        MAX_METADATA_VALUE_BYTES = maxMetadataValueBytes;
        MAX_URI_BYTES = maxUriBytes;
    }

    /// @inheritdoc IIdentityRegistry
    function initialize() external initializer {
        __ERC721_init("AgentIdentity", "AGENT");
        __EIP712_init("ERC8004IdentityRegistry", "1");
        __Governed_init();
    }

    /// @inheritdoc IIdentityRegistry
    function register() external whenNotPaused nonReentrant returns (uint256 agentId) {
        agentId = _mintToCaller();
        _announce(agentId, "");
    }

    /// @inheritdoc IIdentityRegistry
    function register(string memory agentURI) external whenNotPaused nonReentrant returns (uint256 agentId) {
        agentId = _mintToCaller();
        _writeURI(agentId, agentURI);
        _announce(agentId, agentURI);
    }

    /// @inheritdoc IIdentityRegistry
    function register(string memory agentURI, MetadataEntry[] memory metadata)
        external
        whenNotPaused
        nonReentrant
        returns (uint256 agentId)
    {
        agentId = _mintToCaller();
        _writeURI(agentId, agentURI);
        _announce(agentId, agentURI);
        for (uint256 i = 0; i < metadata.length; ++i) {
            _writeMetadata(agentId, metadata[i].metadataKey, metadata[i].metadataValue);
        }
    }

    /// @inheritdoc IIdentityRegistry
    function setMetadata(uint256 agentId, string memory metadataKey, bytes memory metadataValue)
        external
        whenNotPaused
        nonReentrant
        onlyAgentOperator(agentId)
    {
        _writeMetadata(agentId, metadataKey, metadataValue);
    }

    /// @inheritdoc IIdentityRegistry
    function setAgentURI(uint256 agentId, string calldata newURI)
        external
        whenNotPaused
        nonReentrant
        onlyAgentOperator(agentId)
    {
        _writeURI(agentId, newURI);
        emit URIUpdated(agentId, newURI, msg.sender);
    }

    /// @inheritdoc IIdentityRegistry
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature)
        external
        whenNotPaused
        nonReentrant
        onlyAgentOperator(agentId)
    {
        if (newWallet == address(0)) revert InvalidWallet();
        if (block.timestamp > deadline) revert DeadlinePassed(deadline);
        uint256 latest = block.timestamp + MAX_DEADLINE_DELAY_SECONDS;
        if (deadline > latest) revert DeadlineTooFar(deadline, latest);
        bytes32 consent =
            keccak256(abi.encode(AGENT_WALLET_SET_TYPEHASH, agentId, newWallet, ownerOf(agentId), deadline));
        if (!_hashTypedDataV4(consent).isSignedBy(newWallet, signature)) revert InvalidWalletSignature(newWallet);
        _writeWallet(agentId, newWallet);
    }

    /// @inheritdoc IIdentityRegistry
    function unsetAgentWallet(uint256 agentId) external whenNotPaused nonReentrant onlyAgentOperator(agentId) {
        _writeWallet(agentId, address(0));
    }

    /// @inheritdoc IIdentityRegistry
    function getMetadata(uint256 agentId, string memory metadataKey) external view returns (bytes memory) {
        if (keccak256(bytes(metadataKey)) == WALLET_KEY_HASH) return _walletBytes(_wallets[agentId]);
        return _metadata[agentId][metadataKey];
    }

    /// @inheritdoc IIdentityRegistry
    function getAgentWallet(uint256 agentId) external view returns (address) {
        return _wallets[agentId];
    }

    /// @inheritdoc IIdentityRegistry
    function isAuthorizedOrOwner(address spender, uint256 agentId) external view returns (bool) {
        return _isAuthorized(ownerOf(agentId), spender, agentId);
    }

    /// @inheritdoc IIdentityRegistry
    function getVersion() external pure returns (string memory) {
        return "2.0.0";
    }

    /// @inheritdoc ERC721Upgradeable
    function approve(address to, uint256 tokenId) public override(ERC721Upgradeable, IERC721) whenNotPaused {
        super.approve(to, tokenId);
    }

    /// @inheritdoc ERC721Upgradeable
    function setApprovalForAll(address operator, bool approved)
        public
        override(ERC721Upgradeable, IERC721)
        whenNotPaused
    {
        super.setApprovalForAll(operator, approved);
    }

    /// @inheritdoc ERC721URIStorageUpgradeable
    function supportsInterface(bytes4 interfaceId)
        public
        view
        override(ERC721URIStorageUpgradeable, AccessControlUpgradeable)
        returns (bool)
    {
        return super.supportsInterface(interfaceId);
    }

    /// @dev A new owner must not inherit the wallet that the former one vouched for, nor does an owner who sends the
    /// agent to itself keep it: the wallet is cleared, and said to be, before each transfer. A transfer in the midst of
    /// a registration is refused: `Registered` and what follows it would name an owner and a wallet that are no more.
    function _update(address to, uint256 tokenId, address auth)
        internal
        override
        whenNotPaused
        returns (address previousOwner)
    {
        if (_ownerOf(tokenId) != address(0)) {
            if (_reentrancyGuardEntered()) revert ReentrancyGuardReentrantCall();
            _writeWallet(tokenId, address(0));
        }
        return super._update(to, tokenId, auth);
    }

    /// @dev The receiver's `onERC721Received` runs in here, after Transfer and before all other events.
    function _mintToCaller() private returns (uint256 agentId) {
        agentId = agentCount++;
        _wallets[agentId] = msg.sender;
        _safeMint(msg.sender, agentId);
    }

    function _announce(uint256 agentId, string memory agentURI) private {
        emit Registered(agentId, agentURI, msg.sender);
        _writeWallet(agentId, msg.sender);
    }

    function _writeURI(uint256 agentId, string memory agentURI) private {
        _requireAtMost(agentURI, MAX_URI_BYTES);
        _setTokenURI(agentId, agentURI);
    }

    function _writeWallet(uint256 agentId, address wallet) private {
        _wallets[agentId] = wallet;
        emit MetadataSet(agentId, WALLET_KEY, WALLET_KEY, _walletBytes(wallet));
    }

    /// @dev A key counts while it holds a value, so that removing one makes room for another.
    function _writeMetadata(uint256 agentId, string memory key, bytes memory value) private {
        if (keccak256(bytes(key)) == WALLET_KEY_HASH) revert ReservedMetadataKey();
        if (value.length > MAX_METADATA_VALUE_BYTES) {
            revert MetadataValueTooLong(value.length, MAX_METADATA_VALUE_BYTES);
        }
        bool held = _metadata[agentId][key].length > 0;
        bool holds = value.length > 0;
        if (holds && !held) {
            if (metadataKeyCount[agentId] >= MAX_METADATA_KEYS) revert TooManyMetadataKeys(agentId, MAX_METADATA_KEYS);
            ++metadataKeyCount[agentId];
        } else if (held && !holds) {
            --metadataKeyCount[agentId];
        }
        _metadata[agentId][key] = value;
        emit MetadataSet(agentId, key, key, value);
    }

    function _walletBytes(address wallet) private pure returns (bytes memory) {
        return wallet == address(0) ? bytes("") : abi.encodePacked(wallet);
    }
}
