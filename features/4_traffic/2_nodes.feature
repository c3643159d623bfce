@profile:traffic
Feature: Identities hold from node to node, over HTTP and over TCP
  Each node has a tbot of its own, and each proxy its own copy of Teleport's authorities. Over TCP nothing tells a server who
  called: a policy by principal does, which lets alpha in and nobody else.
  Source: guide, "Overview"; Istio, AuthorizationPolicy.

  @requirement:TRF-04 @safety:namespaced
  Scenario Outline: HTTP from node to node, <client> to <server>
    Given at least two nodes that take workloads
    And the workloads "<client>" and "<server>" on different nodes
    When <client> sends 5 requests to <server>
    Then <server> itself must have answered each of them, once
    And <server> must have seen exactly the SPIFFE ID of <client> each time

    Examples:
      | client    | server   |
      | alpha     | beta-far |
      | alpha-far | beta     |

  @requirement:TRF-04 @safety:namespaced
  Scenario Outline: TCP from node to node, <client> to <server>
    Given at least two nodes that take workloads
    And the workloads "<client>" and "<server>" on different nodes
    When <client> opens 5 TCP connections to <server>
    Then <server> must have let in each of them for the principal of <client>

    Examples:
      | client    | server   |
      | alpha     | beta-far |
      | alpha-far | beta     |

  @requirement:TRF-04 @safety:namespaced
  Scenario: Over TCP another principal is refused
    Given at least two nodes that take workloads
    And the workloads "gamma" and "beta" on different nodes
    When gamma opens 5 TCP connections to beta
    Then beta must have refused each of them by its policy
