// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {AgentAuthority} from "./AgentAuthority.sol";
import {Governed} from "./Governed.sol";
import {IReputationRegistry} from "./interfaces/IReputationRegistry.sol";

/// @title The reputation registry of ERC-8004, hardened
/// @notice Feedback is only ever appended or revoked; its index, from 1, never changes.
contract ReputationRegistry is IReputationRegistry, Governed {
    using AgentAuthority for IERC721;

    struct Feedback {
        int128 value;
        uint8 valueDecimals;
        bool isRevoked;
        string tag1;
        string tag2;
    }

    struct Responses {
        uint64 total;
        mapping(address responder => uint64) by;
    }

    /// @dev What `readAllFeedback` returns, row by row: its seven arrays do not fit on the stack beside the work.
    struct Page {
        address[] clients;
        uint64[] feedbackIndexes;
        int128[] values;
        uint8[] valueDecimals;
        string[] tag1s;
        string[] tag2s;
        bool[] revokedStatuses;
    }

    /// @dev The zero hash stands for "every tag".
    struct Filter {
        bytes32 tag1Hash;
        bytes32 tag2Hash;
        bool includeRevoked;
    }

    /// @dev What a summary is made from. The sum has 18 decimals; it cannot overflow, as a value is below 2**187 once
    /// scaled and there are fewer than 2**64 of them. The counts are by number of decimals, 0 to MAX_DECIMALS.
    struct Tally {
        int256 sum;
        uint64 count;
        uint64[19] countOfDecimals;
    }

    int128 private constant MAX_MAGNITUDE = 1e38;
    uint8 private constant MAX_DECIMALS = 18;

    /// @inheritdoc IReputationRegistry
    uint256 public immutable MIN_FEEDBACK_INTERVAL_SECONDS;
    /// @inheritdoc IReputationRegistry
    uint256 public immutable MAX_URI_BYTES;

    IERC721 private _identityRegistry;
    mapping(uint256 agentId => mapping(address client => Feedback[])) private _feedback;
    mapping(uint256 agentId => address[]) private _clients;
    mapping(uint256 agentId => mapping(address client => mapping(uint64 index => Responses))) private _responses;
    mapping(address client => uint256) private _lastFeedbackAt;

    /// @param minFeedbackIntervalSeconds The time between two feedbacks of one sender; 0 for none.
    /// @param maxUriBytes The longest endpoint or URI.
    constructor(uint256 minFeedbackIntervalSeconds, uint256 maxUriBytes) {
        MIN_FEEDBACK_INTERVAL_SECONDS = minFeedbackIntervalSeconds;
        MAX_URI_BYTES = maxUriBytes;
    }

    /// @inheritdoc IReputationRegistry
    function initialize(address identityRegistry_) external initializer {
        _requireContract(identityRegistry_);
        __Governed_init();
        _identityRegistry = IERC721(identityRegistry_);
    }

    /// @inheritdoc IReputationRegistry
    function giveFeedback(
        uint256 agentId,
        int128 value,
        uint8 valueDecimals,
        string memory tag1,
        string memory tag2,
        string memory endpoint,
        string memory feedbackURI,
        bytes32 feedbackHash
    ) external whenNotPaused nonReentrant {
        _requireAtMost(endpoint, MAX_URI_BYTES);
        _requireAtMost(feedbackURI, MAX_URI_BYTES);
        if (_identityRegistry.isOperator(msg.sender, agentId)) revert SelfFeedback(msg.sender, agentId);
        _requireInterval();
        uint64 index = _append(agentId, value, valueDecimals, tag1, tag2);
        emit NewFeedback(
            agentId, msg.sender, index, value, valueDecimals, tag1, tag1, tag2, endpoint, feedbackURI, feedbackHash
        );
    }

    /// @inheritdoc IReputationRegistry
    function revokeFeedback(uint256 agentId, uint64 feedbackIndex) external whenNotPaused nonReentrant {
        Feedback storage feedback = _at(agentId, msg.sender, feedbackIndex);
        if (feedback.isRevoked) revert FeedbackAlreadyRevoked(agentId, msg.sender, feedbackIndex);
        feedback.isRevoked = true;
        emit FeedbackRevoked(agentId, msg.sender, feedbackIndex);
    }

    /// @inheritdoc IReputationRegistry
    function appendResponse(
        uint256 agentId,
        address clientAddress,
        uint64 feedbackIndex,
        string calldata responseURI,
        bytes32 responseHash
    ) external whenNotPaused nonReentrant {
        if (bytes(responseURI).length == 0) revert EmptyResponseURI();
        _requireAtMost(responseURI, MAX_URI_BYTES);
        _at(agentId, clientAddress, feedbackIndex);
        Responses storage responses = _responses[agentId][clientAddress][feedbackIndex];
        ++responses.total;
        ++responses.by[msg.sender];
        emit ResponseAppended(agentId, clientAddress, feedbackIndex, msg.sender, responseURI, responseHash);
    }

    /// @inheritdoc IReputationRegistry
    function getIdentityRegistry() external view returns (address) {
        return address(_identityRegistry);
    }

    /// @inheritdoc IReputationRegistry
    function getLastIndex(uint256 agentId, address clientAddress) external view returns (uint64) {
        return _lastIndex(agentId, clientAddress);
    }

    /// @inheritdoc IReputationRegistry
    function readFeedback(uint256 agentId, address clientAddress, uint64 feedbackIndex)
        external
        view
        returns (int128 value, uint8 valueDecimals, string memory tag1, string memory tag2, bool isRevoked)
    {
        Feedback storage feedback = _at(agentId, clientAddress, feedbackIndex);
        return (feedback.value, feedback.valueDecimals, feedback.tag1, feedback.tag2, feedback.isRevoked);
    }

    /// @inheritdoc IReputationRegistry
    function getSummary(uint256 agentId, address[] calldata clientAddresses, string calldata tag1, string calldata tag2)
        external
        view
        returns (uint64 count, int128 summaryValue, uint8 summaryValueDecimals)
    {
        if (clientAddresses.length == 0) revert NoClients();
        Tally memory tally = _tally(agentId, clientAddresses, _filter(tag1, tag2, false));
        count = tally.count;
        if (count == 0) return (0, 0, 0);
        summaryValueDecimals = _mostFrequent(tally.countOfDecimals);
        int256 average = tally.sum / int256(uint256(count));
        // Unchecked on purpose: the deployed registries wrap here, and a summary must be the same everywhere.
        summaryValue = int128(average / _scale(summaryValueDecimals));
    }

    /// @inheritdoc IReputationRegistry
    function readAllFeedback(
        uint256 agentId,
        address[] memory clientAddresses,
        string memory tag1,
        string memory tag2,
        bool includeRevoked
    )
        external
        view
        returns (
            address[] memory clients,
            uint64[] memory feedbackIndexes,
            int128[] memory values,
            uint8[] memory valueDecimals,
            string[] memory tag1s,
            string[] memory tag2s,
            bool[] memory revokedStatuses
        )
    {
        Page memory page = _page(agentId, clientAddresses, _filter(tag1, tag2, includeRevoked));
        clients = page.clients;
        feedbackIndexes = page.feedbackIndexes;
        values = page.values;
        valueDecimals = page.valueDecimals;
        tag1s = page.tag1s;
        tag2s = page.tag2s;
        revokedStatuses = page.revokedStatuses;
    }

    /// @inheritdoc IReputationRegistry
    function getResponseCount(
        uint256 agentId,
        address clientAddress,
        uint64 feedbackIndex,
        address[] calldata responders
    ) external view returns (uint64 count) {
        if (clientAddress == address(0)) {
            address[] storage clients = _clients[agentId];
            for (uint256 i = 0; i < clients.length; ++i) {
                count += _responsesToClient(agentId, clients[i], responders);
            }
        } else if (feedbackIndex == 0) {
            count = _responsesToClient(agentId, clientAddress, responders);
        } else {
            count = _responsesToFeedback(agentId, clientAddress, feedbackIndex, responders);
        }
    }

    /// @inheritdoc IReputationRegistry
    function getClients(uint256 agentId) external view returns (address[] memory) {
        return _clients[agentId];
    }

    /// @inheritdoc IReputationRegistry
    function getVersion() external pure returns (string memory) {
        return "2.0.0";
    }

    function _requireInterval() private {
        uint256 last = _lastFeedbackAt[msg.sender];
        uint256 allowedFrom = last + MIN_FEEDBACK_INTERVAL_SECONDS;
        if (last != 0 && block.timestamp < allowedFrom) revert FeedbackTooSoon(allowedFrom);
        _lastFeedbackAt[msg.sender] = block.timestamp;
    }

    function _append(uint256 agentId, int128 value, uint8 valueDecimals, string memory tag1, string memory tag2)
        private
        returns (uint64 index)
    {
        if (valueDecimals > MAX_DECIMALS) revert TooManyDecimals(valueDecimals);
        if (value < -MAX_MAGNITUDE || value > MAX_MAGNITUDE) revert ValueOutOfRange(value);
        Feedback[] storage given = _feedback[agentId][msg.sender];
        if (given.length == 0) _clients[agentId].push(msg.sender);
        given.push(Feedback({value: value, valueDecimals: valueDecimals, isRevoked: false, tag1: tag1, tag2: tag2}));
        return uint64(given.length);
    }

    function _lastIndex(uint256 agentId, address client) private view returns (uint64) {
        return uint64(_feedback[agentId][client].length);
    }

    function _at(uint256 agentId, address client, uint64 index) private view returns (Feedback storage) {
        if (index == 0 || index > _lastIndex(agentId, client)) revert FeedbackNotFound(agentId, client, index);
        return _feedback[agentId][client][index - 1];
    }

    function _filter(string memory tag1, string memory tag2, bool includeRevoked)
        private
        pure
        returns (Filter memory filter)
    {
        if (bytes(tag1).length > 0) filter.tag1Hash = keccak256(bytes(tag1));
        if (bytes(tag2).length > 0) filter.tag2Hash = keccak256(bytes(tag2));
        filter.includeRevoked = includeRevoked;
    }

    function _matches(Feedback storage feedback, Filter memory filter) private view returns (bool) {
        if (feedback.isRevoked && !filter.includeRevoked) return false;
        if (filter.tag1Hash != bytes32(0) && filter.tag1Hash != keccak256(bytes(feedback.tag1))) return false;
        return filter.tag2Hash == bytes32(0) || filter.tag2Hash == keccak256(bytes(feedback.tag2));
    }

    function _tally(uint256 agentId, address[] calldata clients, Filter memory filter)
        private
        view
        returns (Tally memory tally)
    {
        for (uint256 i = 0; i < clients.length; ++i) {
            Feedback[] storage given = _feedback[agentId][clients[i]];
            for (uint256 j = 0; j < given.length; ++j) {
                if (!_matches(given[j], filter)) continue;
                uint8 decimals = given[j].valueDecimals;
                tally.sum += int256(given[j].value) * _scale(decimals);
                ++tally.countOfDecimals[decimals];
                ++tally.count;
            }
        }
    }

    /// @dev What brings a value with so many decimals to 18.
    function _scale(uint8 decimals) private pure returns (int256) {
        return int256(10 ** uint256(MAX_DECIMALS - decimals));
    }

    function _mostFrequent(uint64[19] memory countOfDecimals) private pure returns (uint8 winner) {
        for (uint8 decimals = 1; decimals <= MAX_DECIMALS; ++decimals) {
            if (countOfDecimals[decimals] > countOfDecimals[winner]) winner = decimals;
        }
    }

    function _page(uint256 agentId, address[] memory clients, Filter memory filter)
        private
        view
        returns (Page memory page)
    {
        if (clients.length == 0) clients = _clients[agentId];
        uint256 rows = _countMatches(agentId, clients, filter);
        page.clients = new address[](rows);
        page.feedbackIndexes = new uint64[](rows);
        page.values = new int128[](rows);
        page.valueDecimals = new uint8[](rows);
        page.tag1s = new string[](rows);
        page.tag2s = new string[](rows);
        page.revokedStatuses = new bool[](rows);
        uint256 row = 0;
        for (uint256 i = 0; i < clients.length; ++i) {
            Feedback[] storage given = _feedback[agentId][clients[i]];
            for (uint256 j = 0; j < given.length; ++j) {
                Feedback storage feedback = given[j];
                if (!_matches(feedback, filter)) continue;
                page.clients[row] = clients[i];
                page.feedbackIndexes[row] = uint64(j + 1);
                page.values[row] = feedback.value;
                page.valueDecimals[row] = feedback.valueDecimals;
                page.tag1s[row] = feedback.tag1;
                page.tag2s[row] = feedback.tag2;
                page.revokedStatuses[row] = feedback.isRevoked;
                ++row;
            }
        }
    }

    function _countMatches(uint256 agentId, address[] memory clients, Filter memory filter)
        private
        view
        returns (uint256 matches)
    {
        for (uint256 i = 0; i < clients.length; ++i) {
            Feedback[] storage given = _feedback[agentId][clients[i]];
            for (uint256 j = 0; j < given.length; ++j) {
                if (_matches(given[j], filter)) ++matches;
            }
        }
    }

    function _responsesToClient(uint256 agentId, address client, address[] calldata responders)
        private
        view
        returns (uint64 count)
    {
        uint64 last = _lastIndex(agentId, client);
        for (uint64 index = 1; index <= last; ++index) {
            count += _responsesToFeedback(agentId, client, index, responders);
        }
    }

    function _responsesToFeedback(uint256 agentId, address client, uint64 index, address[] calldata responders)
        private
        view
        returns (uint64 count)
    {
        Responses storage responses = _responses[agentId][client][index];
        if (responders.length == 0) return responses.total;
        for (uint256 i = 0; i < responders.length; ++i) {
            count += responses.by[responders[i]];
        }
    }
}
