@profile:traffic
Feature: Identities work between nodes, over HTTP and over TCP
  Each node has its own tbot, and each proxy its own copy of Teleport's authorities. Over TCP a server does not learn who called.
  A policy by principal proves it instead: the policy lets in alpha and refuses every other caller. alpha-far and beta-far have the
  service accounts of alpha and beta, and run on another node.
  Source: guide, "Overview"; Istio, AuthorizationPolicy.

  @requirement:TRF-04 @safety:namespaced
  Scenario Outline: Over HTTP from another node, <server> sees exactly the identity of <client>
    Given at least two nodes that take workloads
    And the test pods "<client>" and "<server>" on different nodes
    When <client> sends 5 requests to <server>
    Then <server> itself must have answered each request once
    And <server> must have seen exactly the SPIFFE ID of <client> each time

    Examples:
      | client    | server   |
      | alpha     | beta-far |
      | alpha-far | beta     |

  @requirement:TRF-04 @safety:namespaced
  Scenario Outline: Over TCP from another node, <server> lets in the principal of <client>
    Given at least two nodes that take workloads
    And the test pods "<client>" and "<server>" on different nodes
    When <client> opens 5 TCP connections to <server>
    Then <server> must have let in each connection for the principal of <client>

    Examples:
      | client    | server   |
      | alpha     | beta-far |
      | alpha-far | beta     |

  @requirement:TRF-04 @safety:namespaced
  Scenario: Over TCP from another node, a policy refuses another principal
    Given at least two nodes that take workloads
    And the test pods "gamma" and "beta" on different nodes
    When gamma opens 5 TCP connections to beta
    Then beta must have refused each connection by its policy
