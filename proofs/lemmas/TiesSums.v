(** Aggregates: a commutative monoid whose finalizer is TIES. *)

From Coq Require Import ZArith List Bool Lia Permutation.
From MergeAlgebra.Definitions Require Import Ties.
Import ListNotations.
Open Scope Z_scope.

(** * The monoid *)

Lemma aggregate_eq a b :
  S_pos a = S_pos b -> W_pos a = W_pos b -> S_neg a = S_neg b -> W_neg a = W_neg b -> a = b.
Proof. destruct a, b. cbn. congruence. Qed.

Ltac fields := apply aggregate_eq; cbn; lia.

Lemma combine_comm a b : combine a b = combine b a.
Proof. fields. Qed.

Lemma combine_assoc a b c : combine a (combine b c) = combine (combine a b) c.
Proof. fields. Qed.

Lemma combine_empty a : combine empty a = a.
Proof. fields. Qed.

Lemma combine_identity a : combine empty a = a /\ combine a empty = a.
Proof. split; fields. Qed.

Lemma combine_twice a : combine a a = a <-> a = empty.
Proof.
  split; [|intros ->; reflexivity]. destruct a as [p w n u]. unfold combine, empty. cbn.
  intros [= ? ? ? ?]. f_equal; lia.
Qed.

Lemma retract_combine a b : retract (combine a b) b = a.
Proof. fields. Qed.

Lemma aggregate_of_app xs ys : aggregate_of (xs ++ ys) = combine (aggregate_of xs) (aggregate_of ys).
Proof.
  induction xs as [|x xs IH]; cbn [app aggregate_of fold_right]; [now rewrite combine_empty|].
  fold (aggregate_of (xs ++ ys)) (aggregate_of xs). now rewrite IH, combine_assoc.
Qed.

Lemma aggregate_of_cons x xs : aggregate_of (x :: xs) = combine (lift x) (aggregate_of xs).
Proof. reflexivity. Qed.

Lemma aggregate_of_one x : aggregate_of [x] = lift x.
Proof. rewrite aggregate_of_cons, combine_comm. apply combine_empty. Qed.

Lemma homomorphism : aggregate_of [] = empty /\ (forall x, aggregate_of [x] = lift x) /\
  forall xs ys, aggregate_of (xs ++ ys) = combine (aggregate_of xs) (aggregate_of ys).
Proof. exact (conj eq_refl (conj aggregate_of_one aggregate_of_app)). Qed.

Lemma aggregate_of_permutation xs ys : Permutation xs ys -> aggregate_of xs = aggregate_of ys.
Proof.
  induction 1 as [|x xs ys _ IH|x y xs|xs ys zs _ IH _ IH']; rewrite ?aggregate_of_cons; [reflexivity| | |].
  - now rewrite IH.
  - now rewrite !combine_assoc, (combine_comm (lift y)).
  - now rewrite IH.
Qed.

Lemma evaluate_leaves t : evaluate t = aggregate_of (leaves t).
Proof.
  induction t as [x|a IHa b IHb]; cbn [evaluate leaves]; [now rewrite aggregate_of_one|].
  now rewrite IHa, IHb, aggregate_of_app.
Qed.

(** * The finalizer is what the clauses say *)

Lemma total_value_cons x xs : total_value (x :: xs) = value x + total_value xs.
Proof. reflexivity. Qed.

Lemma total_coefficient_cons x xs : total_coefficient (x :: xs) = coefficient x + total_coefficient xs.
Proof. reflexivity. Qed.

Definition side (sign : Z) (xs : list vote) : list vote := filter (fun x => Z.sgn (value x) =? sign) xs.

Lemma aggregate_of_sides xs :
  aggregate_of xs = Aggregate (total_value (side 1 xs)) (total_coefficient (side 1 xs))
                              (total_value (side (-1) xs)) (total_coefficient (side (-1) xs)).
Proof.
  induction xs as [|[v c] xs IH]; [reflexivity|]. rewrite aggregate_of_cons, IH.
  destruct v; apply aggregate_eq; reflexivity.
Qed.

Lemma total_lift x : total (lift x) = value x.
Proof. destruct x as [[|v|v] c]; unfold total; cbn; lia. Qed.

Lemma total_combine a b : total (combine a b) = total a + total b.
Proof. unfold total. cbn. lia. Qed.

Lemma total_aggregate_of xs : total (aggregate_of xs) = total_value xs.
Proof.
  induction xs as [|x xs IH]; [reflexivity|].
  rewrite aggregate_of_cons, total_combine, total_lift, IH. reflexivity.
Qed.

Lemma elect_gamma xs : elect (aggregate_of xs) = gamma xs.
Proof. unfold elect. now rewrite total_aggregate_of. Qed.

Lemma agreeing_side xs : gamma xs <> 0 -> agreeing xs = side (gamma xs) xs.
Proof.
  intros some. apply filter_ext. intros x. unfold agrees. now rewrite (proj2 (Z.eqb_neq _ _) some).
Qed.

Lemma sign_cases z : Z.sgn z = 0 \/ Z.sgn z = 1 \/ Z.sgn z = -1.
Proof. destruct z; auto. Qed.

Lemma finalize_aggregate_of xs : finalize (aggregate_of xs) = ties_sums xs.
Proof.
  unfold finalize, ties_sums. rewrite elect_gamma.
  destruct (Z.eqb_spec (gamma xs) 0) as [->|some]; [reflexivity|].
  rewrite (agreeing_side _ some), aggregate_of_sides.
  destruct (sign_cases (total_value xs)) as [zero|[plus|minus]]; fold (gamma xs) in *;
    [contradiction|rewrite plus|rewrite minus]; reflexivity.
Qed.

(** * Orders and trees *)

Lemma ties_sums_permutation xs ys : Permutation xs ys -> ties_sums xs = ties_sums ys.
Proof. intros perm. rewrite <- !finalize_aggregate_of. now rewrite (aggregate_of_permutation _ _ perm). Qed.

Lemma finalize_tree t xs : Permutation (leaves t) xs -> finalize (evaluate t) = ties_sums xs.
Proof. intros perm. rewrite evaluate_leaves, (aggregate_of_permutation _ _ perm). apply finalize_aggregate_of. Qed.

Lemma total_tree t xs : Permutation (leaves t) xs ->
  total (evaluate t) = fst (mean_sums xs) /\ total (evaluate t) = task_arithmetic xs.
Proof.
  intros perm. rewrite evaluate_leaves, (aggregate_of_permutation _ _ perm), total_aggregate_of. now split.
Qed.

Lemma sum_of_permutation xs ys : Permutation xs ys -> sum_of xs = sum_of ys.
Proof. unfold sum_of. induction 1; cbn; lia. Qed.

Lemma sums_permutation xs ys : Permutation xs ys ->
  mean_sums xs = mean_sums ys /\ task_arithmetic xs = task_arithmetic ys.
Proof.
  intros perm. unfold mean_sums, task_arithmetic, total_value, total_coefficient.
  rewrite (sum_of_permutation _ _ (Permutation_map value perm)).
  rewrite (sum_of_permutation _ _ (Permutation_map coefficient perm)). now split.
Qed.

(** * Without a contribution, and with one that does not vote *)

Lemma retract_one all x rest : Permutation all (x :: rest) ->
  retract (aggregate_of all) (lift x) = aggregate_of rest /\
  finalize (retract (aggregate_of all) (lift x)) = ties_sums rest.
Proof.
  intros perm. rewrite (aggregate_of_permutation _ _ perm), aggregate_of_cons, combine_comm, retract_combine.
  split; [reflexivity|apply finalize_aggregate_of].
Qed.

Lemma zero_vote c xs : lift (0, c) = empty /\ ties_sums ((0, c) :: xs) = ties_sums xs.
Proof. split; [reflexivity|]. now rewrite <- !finalize_aggregate_of, aggregate_of_cons, combine_empty. Qed.

Lemma mean_zero c xs : mean_sums ((0, c) :: xs) = (total_value xs, c + total_coefficient xs).
Proof. reflexivity. Qed.
