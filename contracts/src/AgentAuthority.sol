// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

/// @title Who may speak for an ERC-8004 agent
/// @dev Asks only what every ERC-721 answers, so that any identity registry will do.
library AgentAuthority {
    /// @notice Whether an address is the agent's owner or approved by it, for all its tokens or for this one.
    /// Reverts, as the identity registry does, for an agent that does not exist.
    function isOperator(IERC721 identityRegistry, address account, uint256 agentId) internal view returns (bool) {
        address owner = identityRegistry.ownerOf(agentId);
        return account == owner || identityRegistry.isApprovedForAll(owner, account)
            || identityRegistry.getApproved(agentId) == account;
    }
}
