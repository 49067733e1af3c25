(** What the claims compare the reducer with: the exact model of a request, and the rounded values in real numbers. The
    oracle runs nothing of this. *)

From Coq Require Import ZArith Reals List Bool.
From MergeAlgebra.Definitions Require Import Bits Rounding Reducer.
From MergeAlgebra.Definitions Require Ties Counting.
Import ListNotations.
Open Scope Z_scope.

(** tau of a fine-tune in real numbers, from the exact difference [TV-2]. *)
Definition difference_R (d e : dtype) (x : R) : R :=
  if dtype_eqb d F64 || dtype_eqb e F64 then RN F32 (RN F64 x) else RN F32 x.

(** New values for the elements that are present. *)
Definition relabel (es : list element) (ns : list Z) : list element :=
  zip_with (fun e n => match e with Tau _ => Tau n | _ => e end) es ns.

(** A coefficient on the grid of fp32. *)
Definition coefficient_of (c : contribution) : Z :=
  match numerator (of_bits F32 (coefficient_bits c)) with Some n => n | None => 0 end.

(** What a contribution has at coordinate i, before trim. *)
Definition element_at (r : request) (i : nat) (c : contribution) : element :=
  nth i (concat (elements (how r) (base r) c)) Absent.

Definition elements_at (r : request) (i : nat) : list element := map (element_at r i) (contributions r).

(** tau of a contribution at coordinate i, after trim: 0 where it is dropped or absent. *)
Definition tau_at (r : request) (i : nat) (c : contribution) : Z :=
  nth i (trimmed (how r) (elements (how r) (base r) c)) 0.

(** The coefficient with which it counts there. *)
Definition weight_at (r : request) (i : nat) (c : contribution) : Z :=
  weight (how r) (coefficient_of c) (element_at r i c).

(** Every contribution's v and c at coordinate i. *)
Definition column_at (r : request) (i : nat) : list (option Z * Z) :=
  map (fun c => scaled (weight_at r i c) (tau_at r i c)) (contributions r).

(** The bits that each model has there. *)
Definition owns_at (r : request) (i : nat) : list own :=
  map (fun c => nth i (concat (read_all NotHeld own_bits (base r) c)) NotHeld) (contributions r).

(** The votes of the exact model at coordinate i. *)
Definition votes_at (r : request) (i : nat) : list Ties.vote := map vote_of (column_at r i).

(** S and W as the clauses have them [TI-8, ME-1, TA-1, LI-1, NM-2, RA-2]. *)
Definition exact_sums (m : method) (votes : list Ties.vote) : Z * Z :=
  match m with
  | TIES _ _ _ _ => Ties.ties_sums votes
  | Mean => Ties.mean_sums votes
  | TaskArithmetic => (Ties.task_arithmetic votes, 1)
  | Linear => Counting.linear_sums votes
  | NegMerge => Counting.negmerge_sums votes
  | RAM => Counting.ram_sums votes
  end.

(** tau_m in real numbers. *)
Definition tau_m_R (m : method) (votes : list Ties.vote) : R :=
  let (S, W) := exact_sums m votes in
  match m with
  | TaskArithmetic => RN F32 (RN F64 (real S))
  | _ => RN F32 (RN F64 (RN F64 (real S) / RN F64 (real W)))
  end.

(** An answer without the places of contributions, which are those of the order they were given in. *)
Definition unplaced_fault (f : fault) : fault :=
  match f with
  | InTau _ => InTau 0
  | InV _ => InV 0
  | _ => f
  end.

Definition unplaced (a : answer) : answer :=
  match a with
  | Merged tensors _ => Merged tensors []
  | NotFiniteAt position what => NotFiniteAt position (unplaced_fault what)
  | BadCoefficient _ => BadCoefficient 0
  | _ => a
  end.

(** For examples: one fp32 tensor, its base 0, lambda and all coefficients 1. *)
Definition small (m : method) (rows : list (list Z)) : request :=
  Request m 0x3f800000 [(F32, map (fun _ => 0) (hd [] rows))]
    (map (fun row => Contribution TaskVector 0x3f800000 [Some (F32, row)]) rows).
