(** The policy as OCaml: what of a set of operations counts and is visible, with ids and keys as zarith's integers. *)

From Coq Require Import NArith List Extraction ExtrOcamlBasic ExtrOcamlZBigInt.
From MergeAlgebra.Definitions Require Import OperationSet Policy PolicyNumbers.

Section Asked.
  Context (base : N) (keys : option (list N)).

  (** An operation with its id where a remark would stand, and whether its signature is right. *)
  Definition held : Type := entry_over N (N * N) unit N bool.

  Definition admissible_ids (s : list held) : list N := map number (filter (admissible (governed base keys) s) s).

  Definition effective_ids (s : list held) : list N := map number (filter (effective (governed base keys) s) s).

  Definition visible_ids (s : list held) : list N := visible (governed base keys) s.

  Definition witness_keys (s : list held) (merge root : N) : list N := witnesses (governed base keys) s merge root.

  Definition carried_ids (s t : list held) : list N := map number (carried (governed base keys) s t).
End Asked.

Extraction Language OCaml.
Extraction "oracle/policy.ml" admissible_ids effective_ids visible_ids witness_keys carried_ids.
