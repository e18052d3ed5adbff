// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What getSummary must answer, reckoned another way
/// @notice Sums each number of decimals apart, keeps gains and losses apart as unsigned numbers, divides magnitudes
/// only, and wraps by arithmetic modulo 2**128 rather than by a cast.
library SummaryReference {
    struct Given {
        address client;
        int128 value;
        uint8 decimals;
        string tag1;
        string tag2;
        bool revoked;
    }

    struct Sums {
        uint256[19] gains;
        uint256[19] losses;
        uint256[19] counts;
    }

    function summarize(Given[] storage history, address[] memory clients, string memory tag1, string memory tag2)
        internal
        view
        returns (uint256 count, int256 value, uint256 decimals)
    {
        Sums memory sums;
        for (uint256 i = 0; i < history.length; ++i) {
            if (history[i].revoked || !_isTagged(history[i], tag1, tag2)) continue;
            _add(sums, history[i], _occurrences(clients, history[i].client));
        }
        for (uint256 d = 0; d < 19; ++d) {
            count += sums.counts[d];
        }
        if (count == 0) return (0, 0, 0);
        decimals = _mode(sums.counts);
        value = _average(sums, count, decimals);
    }

    function _add(Sums memory sums, Given storage given, uint256 times) private view {
        uint256 d = given.decimals;
        sums.counts[d] += times;
        if (given.value < 0) sums.losses[d] += times * uint256(-int256(given.value));
        else sums.gains[d] += times * uint256(int256(given.value));
    }

    function _average(Sums memory sums, uint256 count, uint256 decimals) private pure returns (int256) {
        uint256 gain = 0;
        uint256 loss = 0;
        for (uint256 d = 0; d < 19; ++d) {
            gain += sums.gains[d] * 10 ** (18 - d);
            loss += sums.losses[d] * 10 ** (18 - d);
        }
        bool isLoss = loss > gain;
        uint256 magnitude = (isLoss ? loss - gain : gain - loss) / count / 10 ** (18 - decimals);
        return _wrap(magnitude % 2 ** 128, isLoss);
    }

    /// @dev The residue of plus or minus a magnitude that lies nearest to zero, -2**127 included.
    function _wrap(uint256 magnitude, bool negative) private pure returns (int256) {
        uint256 residue = negative ? (2 ** 128 - magnitude) % 2 ** 128 : magnitude;
        return residue < 2 ** 127 ? int256(residue) : int256(residue) - int256(2 ** 128);
    }

    function _mode(uint256[19] memory counts) private pure returns (uint256 mode) {
        for (uint256 d = 19; d > 0; --d) {
            if (counts[d - 1] >= counts[mode] && counts[d - 1] > 0) mode = d - 1;
        }
    }

    function _occurrences(address[] memory clients, address client) private pure returns (uint256 times) {
        for (uint256 i = 0; i < clients.length; ++i) {
            if (clients[i] == client) ++times;
        }
    }

    function _isTagged(Given storage given, string memory tag1, string memory tag2) private view returns (bool) {
        return _isEqualOrAny(tag1, given.tag1) && _isEqualOrAny(tag2, given.tag2);
    }

    function _isEqualOrAny(string memory wanted, string memory found) private pure returns (bool) {
        return bytes(wanted).length == 0 || keccak256(bytes(wanted)) == keccak256(bytes(found));
    }
}
