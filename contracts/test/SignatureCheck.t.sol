// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {SignatureCheck} from "../src/SignatureCheck.sol";
import {BurningWallet} from "../src/examples/BurningWallet.sol";
import {OwnedWallet} from "../src/examples/OwnedWallet.sol";
import {RefusingWallet} from "../src/examples/RefusingWallet.sol";
import {RevertingWallet} from "../src/examples/RevertingWallet.sol";
import {WalletFactory} from "../src/examples/WalletFactory.sol";
import {AnsweringWallet} from "./support/AnsweringWallet.sol";
import {Vm} from "./support/Vm.sol";

/// @dev A wallet whose answer is half a megabyte long and begins with a word of its choice.
contract LongWallet {
    bytes32 private immutable _FIRST;

    constructor(bytes32 first) {
        _FIRST = first;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        bytes32 first = _FIRST;
        assembly {
            mstore(0, first)
            return(0, 500000)
        }
    }
}

/// @dev A wallet that gives back what it is sent.
contract EchoingWallet {
    fallback(bytes calldata data) external returns (bytes memory) {
        return data;
    }
}

/// @dev A wallet that reverts with the word that means yes.
contract ContradictoryWallet {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        assembly ("memory-safe") {
            mstore(0, shl(224, 0x1626ba7e))
            revert(0, 32)
        }
    }
}

/// @dev A wallet that says yes once somebody has prepared it, to the signature that its maker chose.
contract UnpreparedWallet {
    bytes32 private immutable _SIGNATURE_HASH;
    bool private _isPrepared;

    constructor(bytes memory signature) {
        _SIGNATURE_HASH = keccak256(signature);
    }

    function prepare() external {
        _isPrepared = true;
    }

    /// @dev A preparation that fails.
    function fail() external pure {
        revert("no");
    }

    function isValidSignature(bytes32, bytes calldata signature) external view returns (bytes4) {
        bool valid = _isPrepared && keccak256(signature) == _SIGNATURE_HASH;
        return valid ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// @dev A wallet that changes something when it is asked, which a question must not do.
contract WritingWallet {
    uint256 public questions;

    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        ++questions;
        return IERC1271.isValidSignature.selector;
    }
}

/// @title The validator that is never deployed
contract SignatureCheckTest {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    bytes32 private constant WRAPPED = 0x6492649264926492649264926492649264926492649264926492649264926492;
    bytes32 private constant YES = bytes32(bytes4(0x1626ba7e));
    bytes32 private constant HASH = keccak256("document");
    uint256 private constant KEY = 0x8004;
    bytes32 private constant SALT = bytes32(uint256(7));
    /// @dev What a node gives to a call.
    uint256 private constant GAS = 2_000_000;

    WalletFactory private factory;
    address private owner;
    bytes private signature;

    function setUp() public {
        factory = new WalletFactory();
        owner = vm.addr(KEY);
        signature = _sign(KEY, HASH);
    }

    function testOwnedWalletSaysYesToItsOwnersKey() public {
        OwnedWallet wallet = new OwnedWallet(owner);
        _expect(true, address(wallet), signature);
        _expect(false, address(wallet), _sign(KEY + 1, HASH));
        _expect(false, address(wallet), _sign(KEY, keccak256("another document")));
        _expect(false, address(wallet), "");
    }

    function testWalletsThatDoNotSayYes() public {
        _expect(false, address(new RefusingWallet()), signature);
        _expect(false, address(new RevertingWallet()), signature);
        _expect(false, address(new ContradictoryWallet()), signature);
        _expect(false, address(factory), signature);
    }

    function testWalletThatBurnsAllGasGetsNoAsItsAnswer() public {
        address wallet = address(new BurningWallet());
        _expect(false, wallet, signature);
        _expect(false, wallet, _wrap(address(factory), "", signature));
        bytes memory burn = abi.encodeCall(IERC1271.isValidSignature, (HASH, ""));
        _expect(false, address(0xDEAD), _wrap(wallet, burn, signature));
        _expect(false, wallet, _wrap(wallet, burn, signature));
    }

    /// @dev Whatever gas a node gives, from what the call itself needs to what no wallet can burn.
    function testFuzzBurningWalletGetsNoWithAnyGas(uint256 gasLimit) public {
        gasLimit = 300_000 + gasLimit % 50_000_000;
        address wallet = address(new BurningWallet());
        bytes memory burn = abi.encodeCall(IERC1271.isValidSignature, (HASH, ""));
        bytes memory answer = this.check{gas: gasLimit}(wallet, HASH, _wrap(wallet, burn, signature));
        vm.assertEq(answer, abi.encode(false), "answer");
    }

    function testOnlyTheExactWordIsYes() public {
        _expect(true, address(new AnsweringWallet(abi.encode(YES))), signature);
        _expect(true, address(new AnsweringWallet(abi.encode(YES, "more"))), signature);
        bytes[6] memory answers = [
            bytes(""),
            hex"1626ba7e",
            abi.encodePacked(bytes31(YES)),
            abi.encode(uint256(YES) | 1),
            abi.encode(true),
            abi.encode(uint256(uint32(bytes4(YES))))
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            _expect(false, address(new AnsweringWallet(answers[i])), signature);
        }
    }

    function testLongAnswersAreNotCopied() public {
        _expect(true, address(new LongWallet(YES)), signature);
        _expect(false, address(new LongWallet(bytes32(uint256(YES) - 1))), signature);
    }

    function testEchoIsNoYes() public {
        _expect(false, address(new EchoingWallet()), signature);
        // The identity precompile, and a hash that would make its answer a yes if it were asked.
        _expect(false, address(4), bytes32(uint256(1)), signature);
        _expect(false, address(4), bytes32(uint256(1)), _wrap(address(4), "", signature));
    }

    function testQuestionsChangeNothing() public {
        WritingWallet wallet = new WritingWallet();
        _expect(false, address(wallet), signature);
        vm.assertEq(wallet.questions(), 0, "questions");
    }

    function testWithoutCodeNobodySaysYes() public {
        _expect(false, owner, signature);
        _expect(false, address(0), signature);
        _expect(false, owner, "");
        _expect(false, owner, abi.encodePacked(WRAPPED));
    }

    function testAccountThatDelegatedItsCodeIsAsked() public {
        OwnedWallet wallet = new OwnedWallet(owner);
        vm.etch(owner, abi.encodePacked(hex"ef0100", address(wallet)));
        vm.assertEq(owner.code.length, 23, "a delegation");
        _expect(true, owner, signature);
        vm.etch(owner, abi.encodePacked(hex"ef0100", address(new RefusingWallet())));
        _expect(false, owner, signature);
        // Behind a precompile there is no code.
        vm.etch(owner, abi.encodePacked(hex"ef0100", address(4)));
        _expect(false, owner, bytes32(uint256(1)), signature);
    }

    function testSignatureBringsItsWallet() public {
        address wallet = factory.walletOf(owner, SALT);
        bytes memory deployment = abi.encodeCall(WalletFactory.deploy, (owner, SALT));
        _expect(false, wallet, signature);
        _expect(false, wallet, _wrap(address(factory), "", signature));
        _expect(true, wallet, _wrap(address(factory), deployment, signature));
        vm.assertTrue(wallet.code.length > 0, "only a call leaves nothing behind, this was a transaction");
        _expect(true, wallet, _wrap(address(factory), deployment, signature));
        _expect(true, wallet, signature);
    }

    function testBroughtWalletStillSaysNo() public {
        address wallet = factory.walletOf(owner, SALT);
        bytes memory deployment = abi.encodeCall(WalletFactory.deploy, (owner, SALT));
        _expect(false, wallet, _wrap(address(factory), deployment, _sign(KEY + 1, HASH)));
        vm.assertTrue(wallet.code.length > 0, "it was deployed");
    }

    function testAnotherWalletThanTheSignersIsOfNoUse() public {
        bytes memory deployment = abi.encodeCall(WalletFactory.deploy, (owner, SALT));
        _expect(false, owner, _wrap(address(factory), deployment, signature));
        _expect(false, factory.walletOf(owner, 0), _wrap(address(factory), deployment, signature));
    }

    function testDeployedWalletIsAskedBeforeItsFactory() public {
        OwnedWallet wallet = new OwnedWallet(owner);
        _expect(true, address(wallet), _wrap(address(0), "", signature));
        _expect(true, address(wallet), _wrap(address(new RevertingWallet()), hex"1234", signature));
        _expect(false, address(wallet), _wrap(address(factory), "", _sign(KEY + 1, HASH)));
        WritingWallet counter = new WritingWallet();
        bytes memory count = abi.encodeCall(WritingWallet.isValidSignature, (HASH, ""));
        _expect(true, address(wallet), _wrap(address(counter), count, signature));
        vm.assertEq(counter.questions(), 0, "nothing was prepared");
        _expect(false, address(wallet), _wrap(address(counter), count, _sign(KEY + 1, HASH)));
        vm.assertEq(counter.questions(), 1, "prepared once");
    }

    function testWalletIsPreparedAndAskedAgain() public {
        address wallet = address(new UnpreparedWallet(signature));
        _expect(false, wallet, signature);
        _expect(false, wallet, _wrap(wallet, abi.encodeCall(UnpreparedWallet.fail, ()), signature));
        _expect(true, wallet, _wrap(wallet, abi.encodeCall(UnpreparedWallet.prepare, ()), signature));
    }

    /// @dev What is inside is the wallet's own business: only the outermost suffix is taken off.
    function testSuffixIsTakenOffOnce() public {
        bytes memory inner = _wrap(address(1), hex"02", signature);
        UnpreparedWallet wallet = new UnpreparedWallet(inner);
        _expect(true, address(wallet), _wrap(address(wallet), abi.encodeCall(UnpreparedWallet.prepare, ()), inner));
    }

    function testEmptyPartsAndLongOnesAreRead() public {
        address wallet = address(new AnsweringWallet(abi.encode(YES)));
        _expect(true, wallet, _wrap(address(0), "", ""));
        _expect(true, wallet, _wrap(address(0), new bytes(1_001), new bytes(10_007)));
    }

    function testMalformedWrapsAreNo() public {
        address wallet = address(new AnsweringWallet(abi.encode(YES)));
        uint256 huge = type(uint256).max;
        bytes[10] memory bodies = [
            bytes(""),
            new bytes(31),
            abi.encode(uint256(0), uint256(32)),
            // Offsets at, near and beyond the end, and around the whole of memory.
            abi.encode(uint256(0), uint256(96), uint256(0)),
            abi.encode(uint256(0), uint256(65), uint256(0)),
            abi.encode(uint256(0), huge, uint256(0)),
            abi.encode(uint256(0), huge - 31, uint256(0)),
            // Lengths that reach beyond the end, also by wrapping around.
            abi.encode(uint256(0), uint256(96), uint256(96), uint256(1)),
            abi.encode(uint256(0), uint256(96), uint256(96), huge),
            // An address of more than 20 bytes.
            abi.encode(uint256(1) << 160, uint256(96), uint256(96), uint256(0))
        ];
        for (uint256 i = 0; i < bodies.length; ++i) {
            _expect(false, wallet, abi.encodePacked(bodies[i], WRAPPED));
        }
        _expect(true, wallet, abi.encodePacked(abi.encode(uint256(0), uint256(96), uint256(96), uint256(0)), WRAPPED));
    }

    function testFuzzAnythingBeforeTheSuffixIsAnswered(address signer, bytes32 hash, bytes memory body) public {
        vm.assume(signer != address(vm));
        _expect(false, signer, hash, abi.encodePacked(body, WRAPPED));
    }

    /// @dev A wallet that says yes tells whether the wrap was read, and Solidity whether it should be.
    function testFuzzWrapsAreReadAsSolidityReadsThem(uint256 head, uint8[2] memory offsets, uint8[6] memory words)
        public
    {
        address wallet = address(new AnsweringWallet(abi.encode(YES)));
        // One in four addresses is too long.
        uint256 target = head % 4 == 0 ? head : uint160(head);
        bytes memory body = abi.encode(target, offsets[0], offsets[1]);
        for (uint256 i = 0; i < words.length && words[i] < 240; ++i) {
            body = abi.encodePacked(body, i % 2 == 0 ? abi.encode(words[i] % 64) : new bytes(words[i] % 40));
        }
        bool readable;
        try this.decode(body) {
            readable = true;
        } catch {}
        _expect(readable, wallet, abi.encodePacked(body, WRAPPED));
    }

    function decode(bytes memory body) external pure returns (address, bytes memory, bytes memory) {
        return abi.decode(body, (address, bytes, bytes));
    }

    /// @dev As a node runs it; there nothing is left behind.
    function check(address signer, bytes32 hash, bytes memory given) external returns (bytes memory) {
        return address(new SignatureCheck(signer, hash, given)).code;
    }

    function _expect(bool valid, address signer, bytes memory given) private {
        _expect(valid, signer, HASH, given);
    }

    function _expect(bool valid, address signer, bytes32 hash, bytes memory given) private {
        vm.assertEq(this.check{gas: GAS}(signer, hash, given), abi.encode(valid), "answer");
    }

    function _wrap(address target, bytes memory data, bytes memory inner) private pure returns (bytes memory) {
        return abi.encodePacked(abi.encode(target, data, inner), WRAPPED);
    }

    function _sign(uint256 privateKey, bytes32 hash) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, hash);
        return abi.encodePacked(r, s, v);
    }
}
