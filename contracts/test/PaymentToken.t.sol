// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PaymentToken} from "../src/examples/PaymentToken.sol";
import {Vm} from "./support/Vm.sol";

/// @title The example token: what a payer authorises is paid once, to whom and for as long as they said
contract PaymentTokenTest {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant PAYER_KEY = 0x8004;
    address private constant AGENT = address(0xa6e7);
    bytes32 private constant NONCE = keccak256("nonce");

    PaymentToken private token;
    address private payer;
    uint256 private before;
    bytes32 private transferType;
    bytes32 private domain;

    function setUp() public {
        payer = vm.addr(PAYER_KEY);
        token = new PaymentToken(payer, 100);
        before = block.timestamp + 60;
        transferType = token.TRANSFER_WITH_AUTHORIZATION_TYPEHASH();
        (, string memory name, string memory version, uint256 chainId, address verifying,,) = token.eip712Domain();
        bytes32 domainType =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        domain =
            keccak256(abi.encode(domainType, keccak256(bytes(name)), keccak256(bytes(version)), chainId, verifying));
    }

    function testPaysWhatThePayerAuthorised() public {
        vm.expectEmit(true, true, true, true, address(token));
        emit PaymentToken.AuthorizationUsed(payer, NONCE);
        _pay(30, 30, before);
        vm.assertEq(token.balanceOf(AGENT), 30, "agent");
        vm.assertEq(token.balanceOf(payer), 70, "payer");
        vm.assertTrue(token.authorizationState(payer, NONCE), "used");
    }

    function testPaysOnce() public {
        _pay(30, 30, before);
        vm.expectRevert(PaymentToken.UsedBefore.selector);
        _pay(30, 30, before);
    }

    function testPaysNoMoreThanWasAuthorised() public {
        vm.expectRevert(PaymentToken.NotAuthorized.selector);
        _pay(30, 31, before);
    }

    function testPaysInTime() public {
        vm.expectRevert(PaymentToken.NotInTime.selector);
        _pay(30, 30, block.timestamp);
    }

    function _pay(uint256 authorised, uint256 value, uint256 validBefore) private {
        bytes32 content = keccak256(abi.encode(transferType, payer, AGENT, authorised, 0, validBefore, NONCE));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, keccak256(abi.encodePacked(hex"1901", domain, content)));
        token.transferWithAuthorization(payer, AGENT, value, 0, validBefore, NONCE, v, r, s);
    }
}
