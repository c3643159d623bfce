"""A client of Envoy's secret discovery service: grpcio with the published messages."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Thread
from types import TracebackType
from typing import Any, Self

import grpc
from cryptography import x509
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2 import SPIFFECertValidatorConfig
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest, DiscoveryResponse
from google.rpc.status_pb2 import Status

_SERVICE = "/envoy.service.secret.v3.SecretDiscoveryService"
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A ``tls_certificate`` secret: chain and key in PEM."""

    chain: tuple[x509.Certificate, ...]
    chain_pem: bytes
    key_pem: bytes

    @property
    def leaf(self) -> x509.Certificate:
        """The first of the chain."""
        return self.chain[0]

    @property
    def spiffe_ids(self) -> list[str]:
        """All URI SANs of the leaf."""
        names = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.UniformResourceIdentifier)


@dataclass(frozen=True, slots=True)
class Validation:
    """A ``validation_context`` secret.

    Attributes:
        validator: name of the custom validator, empty for a plain trusted CA.
        bundles: trust domain → its authorities.
        has_crl: whether a CRL came along.
    """

    validator: str
    bundles: Mapping[str, tuple[x509.Certificate, ...]]
    bundle_pem: bytes
    has_crl: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, by secret name."""

    version: str
    nonce: str
    certificates: Mapping[str, Certificate]
    validations: Mapping[str, Validation]

    @property
    def names(self) -> set[str]:
        """The names of all secrets."""
        return {*self.certificates, *self.validations}


class Refused(Exception):
    """The stream ended with an error."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code = str(error.code().name)
        self.details = str(error.details())
        super().__init__(f"{self.code}: {self.details}")


class SdsStream:
    """One stream of StreamSecrets."""

    def __init__(self, address: str, *names: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()
        self._names: Sequence[str] = names
        self._call = self._channel.stream_stream(
            f"{_SERVICE}/StreamSecrets",
            request_serializer=DiscoveryRequest.SerializeToString,
            response_deserializer=DiscoveryResponse.FromString,
        )(self._outgoing())
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        self._send()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._requests.put(None)
        self._call.cancel()
        self._reader.join(_PATIENCE)
        self._channel.close()

    def answer(self, patience: float = _PATIENCE) -> Answer:
        """The next response, acknowledged as Envoy does.

        Raises:
            Refused: the stream ended instead.
        """
        answer = self.unacknowledged(patience)
        self._send(nonce=answer.nonce, version=answer.version)
        return answer

    def unacknowledged(self, patience: float = _PATIENCE) -> Answer:
        """The next response, without a word back."""
        answer = self._answers.get(timeout=patience)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        try:
            self._answers.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def ask(self, *names: str, after: Answer) -> None:
        """Subscribe to other names."""
        self._names = names
        self._send(nonce=after.nonce, version=after.version)

    def send_stale(self) -> None:
        """Acknowledge something that was never sent."""
        self._send(nonce="00000000", version="then")

    def reject(self, answer: Answer, why: str) -> None:
        """Refuse a response, as Envoy does with a certificate that it cannot use."""
        self._send(nonce=answer.nonce, version="", error=why)

    def _send(self, *, nonce: str = "", version: str = "", error: str = "") -> None:
        request = DiscoveryRequest(resource_names=self._names, response_nonce=nonce, version_info=version)
        if error:
            request.error_detail.CopyFrom(Status(code=13, message=error))
        self._requests.put(request)

    def _outgoing(self) -> Iterator[Any]:
        while (request := self._requests.get()) is not None:
            yield request

    def _read(self) -> None:
        try:
            for response in self._call:
                self._answers.put(_parsed(response))
        except grpc.RpcError as error:
            self._answers.put(Refused(error))


def ask_once(address: str, *names: str) -> Answer:
    """The first answer of a new stream.

    Raises:
        Refused: there was none.
    """
    with SdsStream(address, *names) as stream:
        return stream.answer()


def fetch(address: str, *names: str) -> Answer:
    """The answer of FetchSecrets.

    Raises:
        Refused: there was none.
    """
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            f"{_SERVICE}/FetchSecrets",
            request_serializer=DiscoveryRequest.SerializeToString,
            response_deserializer=DiscoveryResponse.FromString,
        )
        try:
            return _parsed(call(DiscoveryRequest(resource_names=names), timeout=_PATIENCE))
        except grpc.RpcError as error:
            raise Refused(error) from error


def delta(address: str) -> Refused:
    """How DeltaSecrets is refused."""
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream(f"{_SERVICE}/DeltaSecrets", request_serializer=DeltaDiscoveryRequest.SerializeToString)(
            iter([DeltaDiscoveryRequest()])
        )
        try:
            next(call)
        except grpc.RpcError as error:
            return Refused(error)
    raise AssertionError("DeltaSecrets answered")


def _parsed(response: Any) -> Answer:
    certificates, validations = {}, {}
    for resource in response.resources:
        secret = Secret()
        assert resource.Unpack(secret), resource.type_url
        if secret.HasField("tls_certificate"):
            certificates[secret.name] = _certificate(secret.tls_certificate)
        else:
            validations[secret.name] = _validation(secret.validation_context)
    return Answer(response.version_info, response.nonce, certificates, validations)


def _certificate(message: Any) -> Certificate:
    pem = message.certificate_chain.inline_bytes
    return Certificate(tuple(x509.load_pem_x509_certificates(pem)), pem, message.private_key.inline_bytes)


def _validation(message: Any) -> Validation:
    config = SPIFFECertValidatorConfig()
    message.custom_validator_config.typed_config.Unpack(config)
    pems = {domain.name: domain.trust_bundle.inline_bytes for domain in config.trust_domains}
    return Validation(
        message.custom_validator_config.name,
        {name: tuple(x509.load_pem_x509_certificates(pem)) for name, pem in pems.items()},
        b"".join(pems.values()),
        message.HasField("crl"),
    )
